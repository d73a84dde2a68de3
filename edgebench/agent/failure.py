"""How a trial fails: with a code of the protocol and a sentence."""

from __future__ import annotations

from edgebench.agent import protocol
from edgebench.agent.runtimes.base import UnfitError

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable


class TrialError(Exception):
    """The trial has no result, for a reason that has a code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def guard(code: str, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call, and turn whatever is raised into a TrialError of this code."""
    try:
        return function(*arguments)
    except TrialError:
        raise
    except UnfitError as problem:
        raise TrialError(protocol.MODEL_LOAD, str(problem)) from None
    except Exception as problem:
        text = str(problem).strip() or repr(problem)
        raise TrialError(code, "%s: %s: %s" % (what, type(problem).__name__, text)) from None
