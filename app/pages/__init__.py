"""One module a page; what they show is found by the modules above, which know no browser."""
