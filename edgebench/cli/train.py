"""``edgebench train``: make the models. Needs the ``train`` extra."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebench.cli.options import CorpusOption, ResampleOption, corpus_sources
from edgebench.errors import Interrupted

if TYPE_CHECKING:
    from edgebench.corpora import Source


def train(
    recipe: Annotated[str, typer.Argument(help="Packaged recipe, such as `wav2small`, or a TOML file.")],
    corpus: CorpusOption = None,
    train_only: Annotated[
        list[str] | None,
        typer.Option(
            "--train-only",
            help="NAME=PATH of a corpus that joins the training part of every fold; repeat for several.",
        ),
    ] = None,
    resample: ResampleOption = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for checkpoints, artifacts, card and curves.")
    ] = Path("edgebench-training"),
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the recipe; repeat for several.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train a model, export it, quantize it, and write its manifest and card."""
    from edgebench.training import train as train_recipe
    from edgebench.training.loop.progress import training_bar

    corpora = corpus_sources(corpus or [], "--corpus", resample=resample)
    joining = corpus_sources(train_only or [], "--train-only", resample=resample)
    if resample:
        convert_first({**corpora, **joining})
    with says_how_to_go_on(resume=resume), training_bar() as notify:
        folder = train_recipe(
            recipe,
            corpora=corpora,
            train_only=joining,
            output=output,
            overrides=settings or [],
            resume=resume,
            notify=notify,
        )
    from edgebench.training.loop.processes import Processes

    if Processes().is_main:
        typer.echo(f"artifacts: {folder}")


def convert_first(sources: Mapping[str, Source]) -> None:
    """Convert the clips of the corpora with a bar, so that the training finds them in the cache."""
    from edgebench.cli.display import Display
    from edgebench.corpora import read_corpus

    with Display() as display:
        for name, source in sources.items():
            display.stage(f"converting {name} to mono at 16 kHz")
            read_corpus(name, source, progress=lambda done, total: display.advance(done, total, "clips"))


@contextlib.contextmanager
def says_how_to_go_on(*, resume: bool) -> Iterator[None]:
    """Add to what an interrupted training says the command that takes it up."""
    try:
        yield
    except Interrupted as stopped:
        again = shlex.join(["edgebench", *sys.argv[1:], *([] if resume else ["--resume"])])
        raise Interrupted(f"{stopped} Go on with: {again}") from None
