"""Why the agent could not go on, in words for its user."""

from __future__ import annotations

import traceback


def describe(problem: BaseException) -> str:
    """One line for what the board did not give (room, memory, a file).

    A mistake of the agent's own keeps its traceback.
    """
    if isinstance(problem, (OSError, MemoryError)):
        return "%s: %s" % (type(problem).__name__, str(problem) or "there is no more")
    return "".join(traceback.format_exception(type(problem), problem, problem.__traceback__))


def logged(problem: BaseException) -> str:
    """The same, with the traceback left on standard error."""
    try:
        traceback.print_exception(type(problem), problem, problem.__traceback__)
    except OSError:
        pass  # the log lies on a full disk
    return describe(problem)
