"""Near-duplicates among texts, by Simhash or MinHash, and what stands too near to a scored text."""

from core.ray_session import Ray
from prep.dedup.clusters import Deduplication, Document, Near, copies, duplicates, near_any
from prep.dedup.meaning import difference
from prep.dedup.methods import Method, MinHash, Simhash

__all__ = [
    "Deduplication",
    "Document",
    "Method",
    "MinHash",
    "Near",
    "Ray",
    "Simhash",
    "copies",
    "difference",
    "duplicates",
    "near_any",
]
