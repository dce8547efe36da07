"""Chapter 4: predictions become one submission."""
