"""Simhash signatures: 64 bits, each the majority of that bit over a text's 4-gram hashes.

Charikar (STOC 2002). Texts that share most grams differ in few bits.
"""

from collections.abc import Iterator, Sequence
from hashlib import md5
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from prep.dedup.ngrams import GRAM, Hashes, Indices, Kept, batches, gram_hashes, kept

BITS = 64
BLOCK = 255  # grams counted at a time: the most for which a count fits into one byte
WIDEST = 2_000  # later signatures of its bucket that one is compared with
SLAB = 500  # blocks counted at a time: what a processor's cache holds
LANES = np.uint64(0x0101010101010101)  # the lowest bit of each of the eight bytes


def sign(texts: Sequence[str], compatible: bool = False) -> tuple[Hashes, Indices]:
    """The signature and the number of grams of each text; without grams the signature is 0.

    `compatible` gives the bits of the `simhash` package (md5 of a gram, "_" compared) for texts in
    NFC; it is slower.
    """
    signs, grams = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for batch in batches(texts):
        part = kept(batch, underscore=compatible)
        signs.append(_majorities(part, compatible))
        grams.append(part.grams)
    return np.concatenate(signs), np.concatenate(grams)


def _majorities(part: Kept, compatible: bool) -> Hashes:
    """Signatures of one batch: bits counted in blocks of a text, blocks summed over the text."""
    signs = np.zeros(len(part.grams), np.uint64)
    texts = np.flatnonzero(part.grams)
    if not len(texts):
        return signs
    grams, starts = part.grams[texts], part.starts[texts]
    blocks = -(-grams // BLOCK)  # of each text, rounded up
    first = np.cumsum(blocks) - blocks  # the first block of each text among all blocks
    # 0, 1, ... within each text
    nth = np.arange(blocks.sum()) - np.repeat(first, blocks)
    begin = np.repeat(starts, blocks) + BLOCK * nth
    end = np.minimum(begin + BLOCK, np.repeat(starts + grams, blocks))
    counted = [
        _counts(part, begin[k : k + SLAB], end[k : k + SLAB], compatible)
        for k in range(0, len(begin), SLAB)
    ]
    counts = np.add.reduceat(np.concatenate(counted), first)
    majority = 2 * counts > grams[:, None]  # a tie leaves the bit 0
    # column k is bit k: packed little-endian in bits and bytes, 64 columns are one number
    signs[texts] = np.packbits(majority, axis=1, bitorder="little").view("<u8")[:, 0]
    return signs


def _counts(part: Kept, begin: Indices, end: Indices, compatible: bool) -> NDArray[np.int64]:
    """How often each of the 64 bits is set among the grams of each block; (blocks, 64).

    A hash shifted right by b and masked with `LANES` holds bits b, b + 8, ... b + 56, each alone in
    a byte of its own. So one 64-bit addition counts eight bits, and eight passes count all 64; no
    byte overflows into the next, since a block has at most 255 grams.
    """
    codes = part.codes[begin[0] : end[-1] + GRAM - 1]
    # one more, since the last block may end where the hashes do, and reduceat takes no such place
    hashes = np.append(_md5(codes) if compatible else gram_hashes(codes), np.uint64(0))
    # reduceat sums what lies between two edges; the grams across two texts fall out with [::2]
    edges = np.stack((begin, end), axis=1).ravel() - begin[0]
    sums = np.empty((len(begin), 8, 8), np.uint8)  # block, byte, bit within the byte
    for bit in range(8):
        lanes = hashes >> np.uint64(bit)
        lanes &= LANES
        total = np.add.reduceat(lanes, edges)[::2]
        sums[:, :, bit] = np.ascontiguousarray(total, "<u8").view(np.uint8).reshape(-1, 8)
    return sums.reshape(-1, BITS).astype(np.int64)


def _md5(codes: NDArray[np.uint32]) -> Hashes:
    """The last 64 bits of the md5 of the gram at each character, as the `simhash` package."""
    _, first, inverse = np.unique(gram_hashes(codes), return_index=True, return_inverse=True)
    grams = [codes[i : i + GRAM].tobytes().decode("utf-32-le", "surrogatepass") for i in first]
    digests = b"".join(md5(gram.encode(), usedforsecurity=False).digest() for gram in grams)
    return np.frombuffer(digests, ">u8")[1::2].astype(np.uint64)[inverse]


def keys(signs: Hashes, bits: int) -> Iterator[Hashes]:
    """Parts of the signatures of which two that differ in at most `bits` bits share at least one.

    Of bits + m disjoint blocks of a signature, `bits` differing bits leave m equal; every choice of
    m blocks is a part (Manku, Jain and Das Sarma, WWW 2007). Above 3 bits a single block would be
    too short to distinguish signatures, so that m is 2.
    """
    equal = 1 if bits <= 3 else 2
    edges = np.linspace(0, BITS, bits + equal + 1).astype(int)
    blocks = [(1 << int(b)) - (1 << int(a)) for a, b in pairwise(edges)]  # masks: bits a to b - 1
    for chosen in combinations(blocks, equal):
        yield signs & np.uint64(sum(chosen))


def distance(left: Hashes, right: Hashes) -> NDArray[np.uint8]:
    """In how many bits signatures differ."""
    return np.bitwise_count(left ^ right)
