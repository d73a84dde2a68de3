"""Limits on what a board may say: nobody there can fill the memory of this machine.

What edgebench's own programs say on a board is known to be small. More than the limit is a mistake or
an attack, and ends the command.
"""

from __future__ import annotations

import time

from edgebench.errors import DeviceError

# Standard output of a command that is run to its end. The longest answer of ours, a fingerprint, has
# some 10 KB.
OUTPUT_BYTES = 1 << 20
# One line of a command that is followed.
LINE_BYTES = 16 << 20
# The slowest that a long line may come, over all of it.
LINE_BYTES_PER_S = 1000.0
# What the login shell's start-up files may print before a command begins.
CHATTER_BYTES = 1 << 20
# The end of standard error that is kept.
STDERR_TAIL_BYTES = 1 << 16


def too_much(address: str, name: str, what: str, limit_bytes: int) -> DeviceError:
    """The error of a command that went past a limit; ``what`` went past it."""
    return DeviceError(
        f"{address}: '{name}' was ended: {what} is longer than the {limit_bytes:,} bytes that are read "
        "at most. No program of edgebench says so much. Look on the board at what answers there in its place."
    )


class Patience:
    """How long the next line of a followed command may take: ``idle_s``, and more for a line that is long.

    A peer that sends a byte now and then, and never the end of a line, would otherwise be heard for ever.
    """

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self.line_ended()

    def line_ended(self) -> None:
        """The next line begins to count."""
        self._since_s, self._bytes = time.monotonic(), 0

    def heard(self, count: int) -> None:
        """So many bytes of it came."""
        self._bytes += count

    def left_s(self) -> float:
        """Seconds until the next byte has to be there, ``idle_s`` at most; 0 where time is up."""
        allowed_s = self._idle_s + self._bytes / LINE_BYTES_PER_S
        return min(self._idle_s, max(0.0, self._since_s + allowed_s - time.monotonic()))

    def lost(self) -> str:
        """What the peer did wrong, where time is up."""
        if self._bytes:
            return f"began a line and had not ended it {self._idle_s:g} s and {self._bytes:,} bytes later"
        return f"said nothing for {self._idle_s:g} s"


class LineBuffer:
    """Bytes in, whole lines out. Each byte is looked at once, however long its line is."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._data = bytearray()
        self._searched = 0

    def feed(self, piece: bytes) -> None:
        """Add what was read."""
        self._data += piece

    def line(self) -> bytes | None:
        """The next line without its newline; None until it is whole. Raises OverflowError past the limit."""
        at = self._data.find(b"\n", self._searched)
        if (at if at >= 0 else len(self._data)) > self._limit_bytes:
            raise OverflowError
        if at < 0:
            self._searched = len(self._data)
            return None
        with memoryview(self._data) as view:
            line = bytes(view[:at])
        del self._data[: at + 1]
        self._searched = 0
        return line

    def rest(self) -> bytes:
        """What follows the last newline, taken out."""
        rest = bytes(self._data)
        self._data.clear()
        self._searched = 0
        return rest


class Tail:
    """The last bytes of a stream."""

    def __init__(self, limit_bytes: int = STDERR_TAIL_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._data = bytearray()

    def feed(self, piece: bytes) -> None:
        """Add what was read, and forget the oldest."""
        self._data += piece
        del self._data[: -self._limit_bytes]

    def value(self) -> bytes:
        """What is kept."""
        return bytes(self._data)
