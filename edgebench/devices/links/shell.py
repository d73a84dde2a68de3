"""The scripts that commands on a board run under, how they get to a plain shell, and how to read their marks.

An SSH client learns too little about how a command ended: one killed by a signal looks like a lost
connection (paramiko says -1, OpenSSH 255). So the shell on the board prints the status itself,
behind a mark that the command cannot guess, as the last line of standard error. A first mark on
standard output tells the command's own words from what the user's shell start-up files print.

Nobody knows which login shell an account has, and each quotes in its own way. So the login shell is given
one constant line, which means the same to all of them, and a plain `sh` then reads the script from standard
input.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

# `read` takes one line and no byte more, so that what follows is the command's own input. It fails where the
# link went down before the end of the line, and nothing is run then.
BOOTSTRAP = """/bin/sh -c 'IFS= read -r program && eval "$(printf %b "$program")"'"""

# Bytes that `printf %b` and `read -r` leave as they are.
_LITERAL = {byte: bytes([byte]) for byte in range(32, 127) if byte != ord("\\")}

# The command reads the standard input of the channel.
_WITH_STDIN = """\
mark=$1; shift
printf '%s\\n' "$mark"
"$@"
ended=$?
printf '\\n%s%s\\n' "$mark" "$ended" >&2
"""

# The command reads nothing, and standard input is its lifeline: closing a channel does not end a
# command, but it ends the input, and so does a link that goes down. A watcher then ends the command.
# subtle: a shell gives background commands /dev/null for input, hence the copy on descriptor 3. The watcher
# gets SIGKILL: mksh now and then loses a SIGTERM that comes while the watcher starts.
_WITH_LIFELINE = """\
mark=$1; shift
printf '%s\\n' "$mark"
exec 3<&0
"$@" </dev/null 3<&- &
command=$!
{ while read -r _; do :; done; kill "$command"; sleep 2; kill -9 "$command"; } <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$command"
ended=$?
{ kill -9 "$watcher"; wait "$watcher"; } 2>/dev/null
printf '\\n%s%s\\n' "$mark" "$ended" >&2
"""


def _new_mark() -> str:
    return f"edgebench-{secrets.token_hex(8)}:"


@dataclass(frozen=True)
class MarkedCommand:
    """One command, dressed for the board's shell."""

    argv: Sequence[str]
    reads_stdin: bool
    mark: str = field(default_factory=_new_mark)

    def program(self) -> bytes:
        """The script and its words as one line, for the standard input of `BOOTSTRAP`."""
        script = _WITH_STDIN if self.reads_stdin else _WITH_LIFELINE
        text = f"set -- {shlex.join([self.mark, *self.argv])}\n{script}"
        return b"".join(_LITERAL.get(byte, b"\\0%03o" % byte) for byte in text.encode()) + b"\n"

    def after_start(self, stdout: bytes) -> bytes | None:
        """What the command itself said; None while its start has not been seen."""
        _, mark, own = stdout.partition(self.mark.encode() + b"\n")
        return own if mark else None

    def split_end(self, stderr: bytes) -> tuple[bytes, int | None]:
        """The command's standard error without the last mark, and the status; None if it is missing."""
        said, mark, rest = stderr.rpartition(b"\n" + self.mark.encode())
        digits = rest.partition(b"\n")[0]
        return (said, int(digits)) if mark and digits.isdigit() else (stderr, None)
