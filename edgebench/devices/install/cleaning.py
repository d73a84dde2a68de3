"""Removing what edgebench left on a board."""

from __future__ import annotations

import pydantic

from edgebench.devices.install.deploy import Bytes
from edgebench.devices.install.facts import BoardFacts
from edgebench.devices.install.onboard_call import Answer, call_onboard
from edgebench.devices.links.connection import Connection
from edgebench.errors import DeviceBusy
from edgebench.text import plain

# An SD card removes some thousand files in a minute.
CLEAN_TIMEOUT_S = 600.0


class Cleaned(Answer):
    """What was removed, or would be, in bytes, and what stays."""

    busy: bool
    files: Bytes
    environments: Bytes
    runs: Bytes
    kept: tuple[str, ...] = pydantic.Field(max_length=100_000, strict=False)
    """Runs that no host has collected yet."""
    set: bool
    """A setting of the board is still to be put back, which the next run does first."""

    @property
    def total_bytes(self) -> int:
        return self.files + self.environments + self.runs


def clean_board(
    connection: Connection, facts: BoardFacts, *, unfinished: bool = False, look: bool = False
) -> Cleaned:
    """Remove models, speech, the agent and the private environments from a board.

    ``unfinished``: also runs that were not collected. ``look``: remove nothing.

    Raises DeviceBusy while a run measures there or an environment is made, DeviceError, ConnectionFailed.
    """
    request = {"root": facts.root, "unfinished": unfinished, "look": look}
    found = call_onboard(connection, facts, "clean", request, expect=Cleaned, timeout_s=CLEAN_TIMEOUT_S)
    if found.busy:
        raise DeviceBusy(
            f"{facts.address}: a run measures there, or is being prepared, and uses what lies in "
            f"{facts.root}: nothing was removed. Clean up when it has ended."
        )
    return found.model_copy(update={"kept": tuple(map(plain, found.kept))})
