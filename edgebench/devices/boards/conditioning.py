"""What a user allows edgebench to change on a board for the time of a run: ``--condition`` and inventory."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgebench.errors import UsageError, explain


class Conditioning(BaseModel):
    """The state that a board is brought into for a run, and out of again. None: left as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    governor: str | None = Field(default=None, pattern=r"^\w+$")
    """A frequency governor, "performance" as a rule."""
    mode: str | None = Field(default=None, pattern=r"^\w+$")
    """A Jetson's power mode by its name."""
    clocks: Literal["max"] | None = None
    """"max": the lowest clock is set to the highest one, as jetson_clocks does."""
    cool_c: float | None = Field(default=None, gt=0, lt=150)
    """A launch waits until the processor is cooler than so many degrees Celsius."""
    cool_limit_s: float = Field(default=600.0, gt=0)
    """So many seconds of waiting in all; launches go on without it afterwards."""


def parse_conditioning(texts: list[str]) -> Conditioning | None:
    """``governor=performance``, ``mode=MAXN_SUPER``, ``clocks=max``, ``cool=60``, ``cool-limit=300``.

    Several in one text are parted by commas. None without any. Raises UsageError.
    """
    names = {"cool": "cool_c", "cool-limit": "cool_limit_s"}
    values: dict[str, str] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise UsageError(
                f"--condition {part!r} is not NAME=VALUE: governor=performance, mode=MAXN_SUPER, clocks=max, "
                "cool=60 (degrees Celsius) or cool-limit=300 (seconds)."
            )
        values[names.get(name, name)] = value
    try:
        return Conditioning.model_validate(values) if values else None
    except ValidationError as error:
        raise UsageError(f"--condition: {explain(error, Conditioning)}.") from error
