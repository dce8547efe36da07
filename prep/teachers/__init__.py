"""Models behind an address that write training data: asked once, verified, and every row signed."""
