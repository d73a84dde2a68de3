"""What a file loses against its parent on validation speakers, as JSON.

``python -m benchmarks.schemes_judge PARENT FILE --corpus NAME=PATH`` runs in an environment that has the
file's runtime; ``benchmarks.schemes`` calls it.
"""

from __future__ import annotations

import argparse
import json

from edgebench.cli.options import corpus_sources
from edgebench.models import load_artifact
from edgebench.search.losses import Judge
from edgebench.training.artifacts.quantize import choose_clips


def main() -> None:
    """Print the differences: corpus -> metric -> figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schemes_judge", description=__doc__)
    parser.add_argument("parent")
    parser.add_argument("file")
    parser.add_argument("--corpus", action="append", default=[])
    arguments = parser.parse_args()
    parent, sources = load_artifact(arguments.parent), corpus_sources(arguments.corpus, "--corpus")
    losses = Judge(parent, choose_clips(parent, sources).judged)(load_artifact(arguments.file))
    figures = {
        corpus: {name: figure.to_json() for name, figure in found.items()}
        for corpus, found in losses.by_corpus.items()
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
