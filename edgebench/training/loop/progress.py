"""How a training run goes, on stderr: a bar in a terminal, a plain line now and then in a log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column

if TYPE_CHECKING:
    from edgebench.training.loop.loop import Progress

LINE_EVERY_S = 30.0


def tell(notes: Sequence[str]) -> None:
    """Write notes to stderr: what is missing, left out, or used instead."""
    for note in notes:
        sys.stderr.write(f"note: {note}\n")


@contextlib.contextmanager
def training_bar(
    console: Console | None = None, *, line_every_s: float = LINE_EVERY_S
) -> Iterator[Callable[[Progress], None]]:
    """Give a function to pass as ``notify``; at the end one line says how fast it went.

    Nothing is shown before its first call, so that a process that is not the main one stays silent.
    ``line_every_s`` is the time between two lines where there is no terminal.
    """
    shown = _Shown(console or Console(stderr=True), line_every_s)
    try:
        yield shown.update
    finally:
        shown.end()


class _Shown:
    def __init__(self, console: Console, line_every_s: float) -> None:
        self._console, self._line_every_s = console, line_every_s
        self._bar = Bar(
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
            # The figures stand last: a narrow terminal cuts them off before anything else.
            TextColumn("{task.fields[told]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
            expand=True,
        )
        self._task = self._bar.add_task("training", total=None, told="")
        self._last: Progress | None = None
        self._first_step, self._began_s, self._told_s = 0, 0.0, 0.0

    def update(self, progress: Progress) -> None:
        now_s = monotonic()
        if self._last is None or progress.step <= self._last.step:  # the first, or another fold's
            self._summary()
            self._first_step, self._began_s, self._told_s = progress.step, now_s, now_s
        self._last = progress
        told = (
            f"step {progress.step}/{progress.steps}, {self._left(progress, now_s)} left, {_figures(progress)}"
        )
        if self._console.is_terminal:
            self._bar.update(self._task, completed=progress.step, total=progress.steps, told=told)
            self._bar.start()
        elif now_s - self._told_s >= self._line_every_s:
            self._told_s = now_s
            self._line(told)

    def end(self) -> None:
        if self._console.is_terminal:
            self._bar.stop()
        self._summary()

    def _summary(self) -> None:
        if self._last is not None:
            last, pace = self._last, self._last.pace
            self._line(
                f"step {last.step}/{last.steps}, {_figures(last)}; {pace.steps_per_s:.3g} steps/s, "
                f"{pace.waited_share:.0%} of the time waiting for data"
            )

    def _left(self, progress: Progress, now_s: float) -> str:
        """Of the time that the whole loop takes, validation and all; "?" before it can be known."""
        done = progress.step - self._first_step
        if done < 1:
            return "?"
        seconds = round((now_s - self._began_s) / done * (progress.steps - progress.step))
        days, hours = divmod(seconds // 3600, 24)
        clock = f"{hours}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        return f"{days} d {clock}" if days else clock

    def _line(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def _figures(progress: Progress) -> str:
    best = "" if progress.best is None else f", best {progress.score} {progress.best:.3f}"
    return f"loss {progress.loss:.3f}{best}"
