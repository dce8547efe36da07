"""Near-duplicates among texts, by Simhash or MinHash, and what stands too near to a scored text."""

from prep.dedup.clusters import Item, Near, Result, duplicates
from prep.dedup.meaning import difference
from prep.dedup.methods import Method, MinHash, Ray, Simhash
from prep.dedup.scored import copies, near_any

__all__ = [
    "Item",
    "Method",
    "MinHash",
    "Near",
    "Ray",
    "Result",
    "Simhash",
    "copies",
    "difference",
    "duplicates",
    "near_any",
]
