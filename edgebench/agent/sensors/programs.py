"""The board's own programs, which tell what no file tells: ``vcgencmd``, ``nvpmodel``.

They are called between trials only, never while one is measured.
"""

from __future__ import annotations

import os
import subprocess

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Callable, TypeVar

    Parsed = TypeVar("Parsed")

LIMIT_S = 2.0  # each answers in some milliseconds; one that hangs must not hold up the run

NOT_INSTALLED = "it is not installed"


class Programs:
    """Programs below ``root``. One that once did not answer in time is not called again."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._silent: dict[str, str] = {}

    def ask(
        self, places: tuple[str, ...], words: list[str], parse: Callable[[str], Parsed | None]
    ) -> tuple[Parsed | None, str | None]:
        """What ``parse`` makes of the program's output, or None with the reason.

        ``places``: full paths where the program may lie, as a shell without a terminal has no sbin in
        its PATH. Output that ``parse`` makes nothing of (None) is an error message: these programs
        print those on standard output too, and exit with 0.
        """
        path = self._find(places)
        if path is None:
            return None, NOT_INSTALLED
        if path in self._silent:
            return None, self._silent[path]
        try:
            done = subprocess.run(
                [path, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=LIMIT_S,
                env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                cwd="/",
                check=False,
            )
        except subprocess.TimeoutExpired:
            self._silent[path] = "it did not answer within %g s" % LIMIT_S
            return None, self._silent[path]
        except OSError as problem:
            return None, "it cannot be run: %s" % problem.strerror
        text = done.stdout.decode("utf-8", "replace").strip()
        parsed = parse(text)
        if parsed is not None:
            return parsed, None
        return None, "it said: %s" % (text[:200] or "nothing, and left with status %d" % done.returncode)

    def _find(self, places: tuple[str, ...]) -> str | None:
        for place in places:
            path = os.path.join(self._root, place.lstrip("/"))
            if os.path.isfile(path):
                return path
        return None
