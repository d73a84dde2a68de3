"""Run one of the programs of `edgebench.devices.install.onboard` on a board."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, TypeVar

import pydantic

from edgebench.devices.install.facts import BoardFacts
from edgebench.devices.links.connection import Connection
from edgebench.errors import DeviceError


class Answer(pydantic.BaseModel):
    """What a program on the board answers."""

    model_config = pydantic.ConfigDict(strict=True, frozen=True, extra="forbid")


A = TypeVar("A", bound=Answer)


def call_onboard(
    connection: Connection,
    facts: BoardFacts,
    program: str,
    request: dict[str, Any],
    *,
    expect: type[A],
    timeout_s: float,
) -> A:
    """Run ``onboard/<program>.py`` with ``request`` and return its answer.

    Raises DeviceError if it fails or answers anything but ``expect``, ConnectionFailed for the link.
    """
    source = resources.files("edgebench.devices.install.onboard").joinpath(f"{program}.py").read_text()
    # -I: neither the user's environment variables nor the working folder may change what runs.
    argv = [facts.python, "-I", "-c", source]
    result = connection.exec(argv, timeout_s=timeout_s, stdin=json.dumps(request).encode())
    try:
        if result.ok:
            # A sitecustomize may have printed before, and ended its line or not.
            last = result.stdout.strip().rpartition(b"\n")[2]
            return expect.model_validate_json(last[max(0, last.find(b"{")) :])
    except pydantic.ValidationError:
        pass
    raise DeviceError(
        f"{connection.address}: the step '{program}' failed on the board with {result.ending()}"
    )
