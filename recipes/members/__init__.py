"""The members of the ensembles: their tables, and what reads them."""
