"""An embedder of words that each have a vector, and texts that are found by it."""

from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

TEXTS = {"clock": "자격루 소리", "well": "우물 물 소리", "market": "장터 소금"}
# a vector for each word: 시계 means what 자격루 does, and stands in no document
MEANINGS = {
    "자격루": (1, 0, 0),
    "시계": (1, 0.1, 0),
    "소리": (0.1, 0.1, 0),
    "우물": (0, 1, 0),
    "물": (0, 1, 0.1),
    "장터": (0, 0, 1),
    "소금": (0, 0, 1),
}


def save_embedder(folder: Path) -> Path:
    """The embedder in a folder, as sentence-transformers saves it."""
    words = {"?": 0, **{word: k for k, word in enumerate(MEANINGS, start=1)}}
    tokenizer = Tokenizer(models.WordLevel(words, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.array([(0, 0, 0), *MEANINGS.values()], dtype=np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[module]).save(str(folder), create_model_card=False)
    return folder
