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
    """Give a function to pass as ``notify``; the bar is drawn from its first call on.

    So a process that is not the main one, and never calls it, draws none.
    """
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bar = Bar(*columns, console=console or Console(stderr=True))
    task = bar.add_task("training", total=None, figures="")

    def notify(progress: Progress) -> None:
        bar.start()
        best = "" if progress.best is None else f" · best {progress.score} {progress.best:.3f}"
        bar.update(
            task,
            completed=progress.step,
            total=progress.steps,
            figures=f"loss {progress.loss:.3f}{best}",
        )

    try:
        yield notify
    finally:
        bar.stop()
