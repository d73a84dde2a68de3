"""What a person sees while something runs: stages, a bar with the time left, warnings. On stderr."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from edgebench.cli.console import PlainConsole


class Display:
    """Events of a run as rich progress bars; plain lines where stderr is not a terminal.

    The bar redraws twice a second: the host may be the device that is being measured.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or PlainConsole(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[amount]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            refresh_per_second=2,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._text = ""
        self.run_id: str | None = None

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_stage()
        self._progress.stop()

    def stage(self, text: str) -> None:
        """Begin a step."""
        self._end_stage()
        self._text = text
        self._task = self._progress.add_task(escape(text), total=None, amount="")
        if not self._console.is_terminal:
            self._console.print(escape(text), highlight=False)

    def advance(self, done: float, total: float, unit: str) -> None:
        """Move the bar of the current step."""
        if self._task is not None:
            self._progress.update(
                self._task, completed=done, total=max(total, 1e-9), amount=_amount(done, total, unit)
            )

    def started(self, run_id: str) -> None:
        """Remember the run, so that what it measured can be shown even if it breaks."""
        self.run_id = run_id

    def warn(self, text: str) -> None:
        """Print a warning above the bars."""
        self._console.print(f"[yellow]warning:[/] {escape(text)}", highlight=False)

    def _end_stage(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            if self._console.is_terminal:
                self._console.print(f"[green]✓[/] {escape(self._text)}", highlight=False)
            self._task = None


def _amount(done: float, total: float, unit: str) -> str:
    if unit == "bytes":
        return f"{done / 1e6:.1f}/{total / 1e6:.1f} MB"
    if unit == "s":
        return f"{done / max(total, 1e-9):.0%}"
    return f"{done:.0f}/{total:.0f} {unit}"
