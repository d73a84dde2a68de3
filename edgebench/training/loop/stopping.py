"""Ctrl-C and SIGTERM ask a training to stop: it ends its step, saves, and says how to go on."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether somebody ``asked`` the training to stop."""

    asked = False


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Note the first signal; a second one ends the process as it would by default.

    Outside of the main thread signals cannot be handled, and stay as they are.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def ask(number: int, frame: FrameType | None) -> None:
        stop.asked = True
        restore()
        sys.stderr.write("\nstopping after this step; the checkpoint will be written. Again: stop at once.\n")

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    for number in _SIGNALS:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
