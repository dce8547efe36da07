"""What a recipe must have before it is trained, and what would ruin it in silence."""
