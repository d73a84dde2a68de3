"""``user@host:port`` taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Destination:
    """``[user@]host[:port]`` taken apart."""

    host: str
    user: str | None = None
    port: int | None = None


_DESTINATION = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@\s]+)@)?(?:\[(?P<bracketed>[^\]\s]+)\]|(?P<host>[^@:\s\[\]]+))(?::(?P<port>\d{1,5}))?/?"
)


def parse_destination(text: str) -> Destination:
    """Read ``host``, ``pi@host``, ``pi@192.168.1.20:2222``, ``pi@[fe80::1]:22`` or ``ssh://...``.

    Raises ValueError saying what is expected.
    """
    match = _DESTINATION.fullmatch(text.strip())
    port = int(match["port"]) if match and match["port"] else None
    # A host that begins with a dash would be an option to `ssh` in the commands we print.
    host = (match["bracketed"] or match["host"]) if match else "-"
    if match is None or host.startswith("-") or (port is not None and not 0 < port < 65536):
        raise ValueError(f"'{text}' is not [user@]host[:port] (an IPv6 address goes in brackets)")
    return Destination(host, match["user"], port)
