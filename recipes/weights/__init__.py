"""Arithmetic on weights: what an adapter holds, and how several become one."""
