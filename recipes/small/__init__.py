"""A real small model, Gemma 3 of 270 million parameters, through the same two stages."""
