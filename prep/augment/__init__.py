"""Training data made from the data at hand: orders of options, preferences, weights of sources."""
