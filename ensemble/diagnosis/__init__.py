"""What each member adds to the hard vote, where answers are known."""
