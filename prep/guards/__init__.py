"""What a build must not do: break a track, leak scored questions, split a group, cut a row."""
