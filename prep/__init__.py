"""Chapter 1: corpora and external sets become JSONL rows."""
