"""The command line. It translates; the library does. Heavy imports wait for the command that needs them."""

from __future__ import annotations

import sys

# Ctrl-C while modules are read must end as any other does, so they are read within `main`, typing too.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

INTERRUPTED = 130


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Entry point of ``edgebench``: an expected error is one paragraph and an exit code.

    ``args`` is what follows the command's name; None takes it from ``sys.argv``.
    """
    try:
        from edgebench.errors import EdgebenchError

        status = _call(args)
    except KeyboardInterrupt:
        print("edgebench: interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)
    except EdgebenchError as error:
        _end(error.exit_code, str(error))
    except BrokenPipeError:
        # The reader of our output has gone (`edgebench models | head`): not an error of ours.
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        # typer carries its own copy of click in some releases and imports click in others: an error
        # of the command line is known by what it can do, not by its class.
        if not hasattr(error, "show") or not hasattr(error, "exit_code"):
            raise
        error.show()
        sys.exit(error.exit_code)
    sys.exit(status if isinstance(status, int) else 0)


def _call(args: Sequence[str] | None) -> object:
    """Read the commands and do what was asked."""
    import typer

    from edgebench.cli.app import app

    try:
        return app(args=args if args is None else list(args), standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None


def _end(status: int, text: str) -> NoReturn:
    from edgebench.text import plain

    print(f"edgebench: {plain(text)}", file=sys.stderr)  # noqa: T201 - the one place that speaks plainly
    sys.exit(status)
