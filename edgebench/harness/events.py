"""What a run tells whoever watches it. The command line draws bars from it; a script may ignore it."""

from __future__ import annotations

from typing import Protocol


class Events(Protocol):
    """Callbacks of a run; each returns at once and raises nothing."""

    def stage(self, text: str) -> None:
        """A new step begins, such as ``connecting to rpi4``."""

    def advance(self, done: float, total: float, unit: str) -> None:
        """The step goes on: ``done`` of ``total``, in ``unit`` (``bytes``, ``clips``, ``s``)."""

    def started(self, run_id: str) -> None:
        """The run is on the board and in the store under this id."""

    def warn(self, text: str) -> None:
        """Something the user should know that does not stop the run."""


class Silent:
    """Events for nobody."""

    def stage(self, text: str) -> None:
        """Ignored."""

    def advance(self, done: float, total: float, unit: str) -> None:
        """Ignored."""

    def started(self, run_id: str) -> None:
        """Ignored."""

    def warn(self, text: str) -> None:
        """Ignored."""
