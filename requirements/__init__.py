"""What is installed: what is asked for, the locks, and what resolves them."""
