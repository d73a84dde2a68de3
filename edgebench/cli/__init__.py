"""The command line. It translates; the library does. Heavy imports wait for the command that needs them."""

from __future__ import annotations

import sys
from typing import NoReturn

from edgebench.cli.app import app
from edgebench.errors import EdgebenchError

INTERRUPTED = 130


def main() -> NoReturn:
    """Entry point of ``edgebench``: an expected error is one paragraph and an exit code."""
    import click

    try:
        status = app(standalone_mode=False)
    except EdgebenchError as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone (`edgebench models | head`): not an error of ours.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)


def _say(text: str) -> None:
    print(f"edgebench: {text}", file=sys.stderr)  # noqa: T201 - the one place that speaks plainly
