"""What the project measures itself and others with."""
