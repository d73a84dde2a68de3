"""Learnt codes beside those of GPTQ at the same bytes: what each loses on validation speakers.

``python -m benchmarks.learnt_codes --corpus emodb=PATH --corpus ravdess=PATH --corpus nemo=PATH --page``
quantizes the packaged ``wav2small.fp32`` by ``qat`` and by ``packed_ternary_int8`` with the same levels, and
scores each file on every validation clip of the corpora given. Part of these clips chose the state that
``qat`` keeps, so they flatter it. No test speaker is looked at. Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import report
from benchmarks.schemes_table import markdown, renewed
from edgebench.cli.options import corpus_sources
from edgebench.corpora import Source
from edgebench.models import load_artifact
from edgebench.search.losses import Judge
from edgebench.training.artifacts.quantize import quantize_model
from edgebench.training.clips.gather import gather
from edgebench.training.methods import load_recipe

PARENT = "wav2small.fp32"
RECIPE = "wav2small_soft"
LEVELS = (
    {"convolution_levels": 15, "product_levels": 2, "head_levels": 255},
    {"convolution_levels": 7, "product_levels": 3, "head_levels": 15},
)
SCHEMES = {"packed_ternary_int8": "GPTQ", "qat": "learnt"}
COMMAND = "python -m benchmarks.learnt_codes"
PAGE = Path("docs/quantization.md")
HEAD = (
    "levels of convolutions, products, heads",
    "codes",
    "bytes",
    "mean UA lost",
    "worst CCC lost",
    "classes changed",
)


def main() -> None:
    """Make and score the four files, print the table, and renew the page where that is asked for."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--corpus", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--page", action="store_true", help=f"renew {PAGE}")
    arguments = parser.parse_args()
    facts = report.machine(datetime.datetime.now(datetime.UTC), report.load_average())
    table = markdown(HEAD, _rows(corpus_sources(arguments.corpus, "--corpus")))
    print(table)
    if arguments.page:
        text = f"{table}\n" + "".join(f"- {name}: {value}\n" for name, value in facts)
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), COMMAND, text), encoding="utf-8")


def _rows(sources: Mapping[str, Source]) -> Iterator[list[str]]:
    judge = Judge(load_artifact(PARENT), gather(load_recipe(RECIPE), sources).validation)
    for levels in LEVELS:
        for scheme, codes in SCHEMES.items():
            with tempfile.TemporaryDirectory() as folder:
                artifact = quantize_model(
                    PARENT, scheme=scheme, calibration=sources, output=Path(folder), overrides=levels
                )
                lost = judge(artifact)
            yield [
                ", ".join(map(str, levels.values())),
                codes,
                f"{artifact.size_bytes:,}",
                f"{lost.ua:+.4f}",
                f"{lost.ccc:+.4f}",
                f"{lost.changed} of {lost.clips}",
            ]


if __name__ == "__main__":
    main()
