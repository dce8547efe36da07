"""Ablations: one thing changed at a time, trained and scored on grouped folds."""
