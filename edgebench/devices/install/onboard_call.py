"""Run one of the programs of `edgebench.devices.install.onboard` on a board."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from edgebench.devices.install.facts import BoardFacts
from edgebench.devices.links.connection import Connection
from edgebench.errors import DeviceError


def call_onboard(
    connection: Connection, facts: BoardFacts, program: str, request: dict[str, Any], *, timeout_s: float
) -> dict[str, Any]:
    """Run ``onboard/<program>.py`` with ``request`` and return its answer.

    Raises DeviceError if it fails or answers anything but JSON, ConnectionFailed for the link.
    """
    source = resources.files("edgebench.devices.install.onboard").joinpath(f"{program}.py").read_text()
    # -I: neither the user's environment variables nor the working folder may change what runs.
    argv = [facts.python, "-I", "-c", source]
    result = connection.exec(argv, timeout_s=timeout_s, stdin=json.dumps(request).encode())
    try:
        if result.ok:
            answer = json.loads(result.stdout.strip().rpartition(b"\n")[2])
            assert isinstance(answer, dict)
            return answer
    except (ValueError, AssertionError):
        pass
    raise DeviceError(
        f"{connection.address}: the step '{program}' failed on the board with {result.ending()}"
    )
