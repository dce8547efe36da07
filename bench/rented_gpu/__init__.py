"""Every figure in ten minutes on a bare GPU machine."""
