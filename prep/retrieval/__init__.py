"""Texts that hold what questions ask for: read, cut, indexed, searched and shown as evidence."""
