"""Chapter 3: weights and rows become predictions."""
