"""``edgebench train``: make the models. Needs the ``train`` extra."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from edgebench.cli.options import named_paths
from edgebench.errors import Interrupted


def train(
    recipe: Annotated[str, typer.Argument(help="Packaged recipe, such as `wav2small`, or a TOML file.")],
    corpus: Annotated[
        list[str] | None,
        typer.Option("--corpus", "-c", help="NAME=PATH of a speech corpus; repeat for several."),
    ] = None,
    train_only: Annotated[
        list[str] | None,
        typer.Option(
            "--train-only",
            help="NAME=PATH of a corpus that joins the training part of every fold; repeat for several.",
        ),
    ] = None,
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

    with says_how_to_go_on(resume=resume), training_bar() as notify:
        folder = train_recipe(
            recipe,
            corpora=named_paths(corpus or [], "--corpus"),
            train_only=named_paths(train_only or [], "--train-only"),
            output=output,
            overrides=settings or [],
            resume=resume,
            notify=notify,
        )
    from edgebench.training.loop.processes import Processes

    if Processes().is_main:
        typer.echo(f"artifacts: {folder}")


@contextlib.contextmanager
def says_how_to_go_on(*, resume: bool) -> Iterator[None]:
    """Add to what an interrupted training says the command that takes it up."""
    try:
        yield
    except Interrupted as stopped:
        again = shlex.join(["edgebench", *sys.argv[1:], *([] if resume else ["--resume"])])
        raise Interrupted(f"{stopped} Go on with: {again}") from None
