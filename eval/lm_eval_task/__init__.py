"""The same rows for lm-evaluation-harness."""
