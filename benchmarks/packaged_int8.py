"""Makes the packaged int8 files again, and the card of all packaged files.

``python -m benchmarks.packaged_int8 --corpus emodb=PATH --corpus ravdess=PATH --corpus nemo=PATH``
quantizes the packaged ``wav2small.fp32`` as ``edgebench quantize`` does, with the generated corpus beside
those given. It says whether the bytes are those that were there before, and what each file loses on
validation speakers. ``--output DIR`` takes the files, and the package stays as it is. ``--card`` makes no
file, and writes the card instead: every packaged file scored on the test speakers.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from edgebench.cli.options import corpus_sources
from edgebench.corpora import Source
from edgebench.models import load_artifact, packaged_artifacts
from edgebench.models.artifact import PACKAGED
from edgebench.models.making.card import render_card
from edgebench.search.losses import Judge
from edgebench.training.artifacts.produce import card_facts
from edgebench.training.artifacts.quantize import quantize_model
from edgebench.training.clips.gather import Gathered, gather
from edgebench.training.methods import load_recipe
from edgebench.training.recipes.sections import Recipe

PARENT = "wav2small.fp32"
SCHEMES = ("packed_mixed_int8", "packed_ternary_int8")
RECIPE = "wav2small_soft"
TRAINED_BY = (
    f"edgebench train {RECIPE} --corpus emodb=PATH --corpus ravdess=PATH --corpus nemo=PATH --set seed=4 "
    "--set teacher.paths=PATH --output DIR"
)
CLIPS_PER_CLASS = 30  # 480 clips in all
QUANTIZED_BY = (
    f"edgebench quantize {PARENT} --scheme {{}} --calibration emodb=PATH --calibration ravdess=PATH "
    f"--calibration nemo=PATH --calibration synthetic --clips-per-class {CLIPS_PER_CLASS}"
)


def main() -> None:
    """Make the files, or write the card."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packaged_int8", description=__doc__)
    parser.add_argument("--corpus", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--scheme", action="append", choices=SCHEMES, help="make one of the two alone")
    parser.add_argument("--card", action="store_true", help="score the test speakers and write the card")
    parser.add_argument("--output", type=Path, default=PACKAGED, help="where the files are written")
    arguments = parser.parse_args()
    sources = corpus_sources(arguments.corpus, "--corpus")
    recipe = load_recipe(RECIPE, overrides=[f"seed={_seed()}"])
    gathered = gather(recipe, sources)
    if arguments.card:
        _write_card(recipe, gathered)
    else:
        _make(arguments.scheme or SCHEMES, sources, gathered, arguments.output)


def _make(schemes: Sequence[str], sources: Mapping[str, Source], gathered: Gathered, output: Path) -> None:
    console = Console()
    before = {key: load_artifact(key).sha256 for key in packaged_artifacts()}
    judge = Judge(load_artifact(PARENT), gathered.validation)
    for scheme in schemes:
        artifact = quantize_model(
            PARENT,
            scheme=scheme,
            calibration={**sources, "synthetic": None},
            output=output,
            clips_per_class=CLIPS_PER_CLASS,
        )
        same = artifact.sha256 == before.get(artifact.key)
        console.print(
            f"{artifact.path}: {artifact.size_bytes:,} bytes, {'as before' if same else 'changed'}",
            soft_wrap=True,
        )
        lost = judge(artifact)
        console.print(
            f"  validation speakers: UA lost {lost.ua:+.4f}, CCC lost at most {lost.ccc:+.4f}, "
            f"{lost.changed} of {lost.clips} classes changed",
            soft_wrap=True,
        )


def _write_card(recipe: Recipe, gathered: Gathered) -> None:
    artifacts = [load_artifact(key) for key in packaged_artifacts()]
    artifacts.sort(key=lambda one: one.key != PARENT)
    commands = [TRAINED_BY, *map(QUANTIZED_BY.format, SCHEMES)]
    facts = card_facts(artifacts, recipe, gathered, commands=commands)
    (PACKAGED / "wav2small.md").write_text(render_card(facts), encoding="utf-8")


def _seed() -> int:
    manifest = load_artifact(PARENT).manifest
    assert manifest is not None and manifest.training is not None
    return manifest.training.seed


if __name__ == "__main__":
    main()
