"""Why a trial has no result: what its end says."""

from __future__ import annotations

import signal

from edgebench.agent import child, protocol, trial

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

# A runtime that dies of one of these while it is imported was built for another processor.
_FAULTS = (signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGABRT)


def error_of(one: dict[str, Any], stage: str, ending: child.Ending) -> dict[str, Any]:
    """The error of a trial that ended without a record."""
    if ending.why == child.NOT_STARTED:
        code, message = protocol.RUNTIME_IMPORT, "its interpreter %s cannot be started" % one["python"]
    elif ending.why == child.STOPPED:
        code, message = protocol.CANCELLED_BY_HOST, "the run was cancelled while %s" % stage
    elif ending.why == child.TIMED_OUT:
        code, message = protocol.TIMEOUT, "it ran past its %g s while %s" % (one["timeout_s"], stage)
    elif ending.signal is None:
        code = protocol.RUNTIME_IMPORT if stage == trial.IMPORTING else protocol.INTERNAL
        message = "the process left with status %s while %s" % (ending.status, stage)
    else:
        at_import = stage == trial.IMPORTING and ending.signal in _FAULTS
        code = protocol.RUNTIME_IMPORT if at_import else protocol.KILLED
        message = "the process died of signal %d while %s" % (ending.signal, stage)
    killed_by_us = ending.why != child.EXITED
    return {"code": code, "message": message, "signal": None if killed_by_us else ending.signal}
