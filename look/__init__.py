"""The one look of all pictures and pages, whichever chapter makes them; it imports no chapter."""
