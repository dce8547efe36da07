"""Figures over right and wrong answers; no model, no file."""
