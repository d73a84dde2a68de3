"""Corpora: read from the layout of their release into clips, divided by speaker, packed for a board."""

from edgebench.corpora.audio import SAMPLE_RATE_HZ, dtype_of, load_waveform, read_waveform
from edgebench.corpora.clip import ADV, EMOTIONS, UNKNOWN_SPEAKER, Clip
from edgebench.corpora.inspection import Inspection, inspect_corpus
from edgebench.corpora.pack import PackInfo, write_pack
from edgebench.corpora.prototypes import PROTOTYPES
from edgebench.corpora.readers import READERS, corpus_names, read_corpus, recognise_corpus
from edgebench.corpora.reasons import grouped
from edgebench.corpora.resample import Converted
from edgebench.corpora.scorable import require_scorable
from edgebench.corpora.source import Source, Where, as_source, parse_source
from edgebench.corpora.splits.protocols import (
    k_folds,
    leave_one_session_out,
    make_split,
    random_folds,
    ratio_split,
)
from edgebench.corpora.splits.split import (
    PARTS,
    Split,
    leaking_speakers,
    packaged_split,
    read_split,
    split_clips,
    write_split,
)
from edgebench.corpora.synthetic.corpus import synthetic_clips, synthetic_corpus

__all__ = [
    "ADV",
    "EMOTIONS",
    "PARTS",
    "PROTOTYPES",
    "READERS",
    "SAMPLE_RATE_HZ",
    "UNKNOWN_SPEAKER",
    "Clip",
    "Converted",
    "Inspection",
    "PackInfo",
    "Source",
    "Split",
    "Where",
    "as_source",
    "corpus_names",
    "dtype_of",
    "grouped",
    "inspect_corpus",
    "k_folds",
    "leaking_speakers",
    "leave_one_session_out",
    "load_waveform",
    "make_split",
    "packaged_split",
    "parse_source",
    "random_folds",
    "ratio_split",
    "read_corpus",
    "read_split",
    "read_waveform",
    "recognise_corpus",
    "require_scorable",
    "split_clips",
    "synthetic_clips",
    "synthetic_corpus",
    "write_pack",
    "write_split",
]
