"""The console that commands print on: what it shows cannot command the terminal.

A name, a message or a table cell may come from a board, a model file or somebody's store.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from edgebench.text import plain


class PlainConsole(Console):
    """A rich console whose text is made plain; the colours and moves are rich's own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything rich prints passes here as segments: text, or control codes of rich's making."""
        for segment in super().render(renderable, options):
            if segment.control is None:
                yield Segment(plain(segment.text), segment.style)
            else:
                yield segment
