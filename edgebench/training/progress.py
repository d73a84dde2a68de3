"""The bar of a training run: on stderr, with the time left, the loss and the best validation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from edgebench.training.trainer import Progress


@contextlib.contextmanager
def training_bar(console: Console | None = None) -> Iterator[Callable[[Progress], None]]:
    """Give a function to pass as ``notify``; the bar is drawn while the context is open."""
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console or Console(stderr=True)) as bar:
        task = bar.add_task("training", total=None, figures="")

        def notify(progress: Progress) -> None:
            best = "" if progress.best is None else f" · best {progress.score} {progress.best:.3f}"
            bar.update(
                task,
                completed=progress.step,
                total=progress.steps,
                figures=f"loss {progress.loss:.3f}{best}",
            )

        yield notify
