"""What a run needs, before it runs: memory, work and hours."""
