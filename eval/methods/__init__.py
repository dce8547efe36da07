"""The ways to answer a row: one file each, pure functions over what an engine returns."""
