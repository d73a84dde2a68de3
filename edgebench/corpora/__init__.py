"""Corpora: from the layout they are released in to one row a clip, and to a pack for a board."""

from edgebench.corpora.audio import SAMPLE_RATE_HZ, dtype_of, load_waveform, read_waveform
from edgebench.corpora.clip import ADV, EMOTIONS, Clip
from edgebench.corpora.prototypes import PROTOTYPES
from edgebench.corpora.readers import READERS, corpus_names, read_corpus

__all__ = [
    "ADV",
    "EMOTIONS",
    "PROTOTYPES",
    "READERS",
    "SAMPLE_RATE_HZ",
    "Clip",
    "corpus_names",
    "dtype_of",
    "load_waveform",
    "read_corpus",
    "read_waveform",
]
