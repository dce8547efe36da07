"""What must be known of a model before it is given to others."""
