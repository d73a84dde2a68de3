"""What a board says, read at the one place where it comes in.

A board may run anything: a message is a line of a known length, of few enough parts, in one of the
forms below, or it is refused with the reason. Nothing behind this module meets a key that is missing, a
number that is not finite or a character that a terminal obeys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import pydantic

from edgebench.agent import protocol
from edgebench.devices import LINE_BYTES
from edgebench.results.records.messages import (
    AgentModel,
    Count,
    Fingerprint,
    Json,
    RuntimeFacts,
    TrialError,
    TrialMessage,
)
from edgebench.text import plain

# A name that can be part of a path and of a command.
Name = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Sha256 = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]


class MessageError(ValueError):
    """A line that is no message of the agent; the text says why, and is safe to print."""


@dataclass(frozen=True)
class Limits:
    """How large a message may be. Predictions grow with the speech that is scored.

    ``parts``: values and containers of the JSON; ``containers``: lists and objects alone, which take far
    more memory than the bytes that name them.
    """

    line_bytes: int = LINE_BYTES
    parts: int = 1_000_000
    containers: int = 100_000

    @classmethod
    def of_speech(cls, audio_s: float) -> Limits:
        """The limits of a run that predicts so many seconds of speech in one launch."""
        least = cls()
        return cls(
            least.line_bytes + int(audio_s * 16_384),
            least.parts + int(audio_s * 1000),
            least.containers + int(audio_s * 100),
        )


class _Runtime(RuntimeFacts):
    error: TrialError | None = None  # type: ignore[assignment]


class _Fingerprint(Fingerprint):
    runtimes: dict[str, _Runtime]  # type: ignore[assignment]


class _FingerprintMessage(_Fingerprint):
    kind: Literal["fingerprint"]


class _Started(AgentModel):
    kind: Literal["started"]


class _Busy(AgentModel):
    """``holder`` is what the lock's file says, which other accounts of the board can write."""

    kind: Literal["busy"]
    holder: Json = None


class _Cancelled(AgentModel):
    kind: Literal["cancelled"]


class _Error(AgentModel):
    kind: Literal["error"]
    code: str
    message: str


class _Lost(AgentModel):
    kind: Literal["lost"]
    message: str


class _Heartbeat(AgentModel):
    kind: Literal["heartbeat"]
    monotonic_ns: Count | None = None


class _Begin(AgentModel):
    kind: Literal["begin"]
    seq: Count
    monotonic_ns: Count


class _TrialBegin(AgentModel):
    kind: Literal["trial_begin"]
    seq: Count
    id: Name
    index: Count
    repeat_of: Name | None = None


class _End(AgentModel):
    kind: Literal["end"]
    seq: Count
    monotonic_ns: Count
    status: Literal["complete", "cancelled", "failed"]
    message: str | None = None


class _TraceFacts(pydantic.BaseModel):
    """The file that a profiler left in the run's folder."""

    model_config = pydantic.ConfigDict(strict=True, extra="forbid")
    name: Name
    size_bytes: Count
    sha256: Sha256


class _Trial(TrialMessage):
    seq: Count
    monotonic_ns: Count
    id: Name
    repeat_of: Name | None = None
    trace: _TraceFacts | None = None  # type: ignore[assignment]

    @pydantic.model_validator(mode="after")
    def _is_whole(self) -> Self:
        """A launch that ended well has its measurement, any other its reason."""
        if self.status == "failed":
            if self.error is None:
                raise ValueError("a failed launch without an error")
            return self
        missing = [name for name in _MEASURED if not getattr(self, name)]
        if missing or self.error is not None:
            raise ValueError(f"a launch that is ok, with an error or without {', '.join(missing)}")
        assert self.telemetry and self.output and self.memory
        if self.telemetry.before is None or self.telemetry.after is None:
            raise ValueError("a launch that is ok without telemetry before and after")
        if self.samples_cpu_ns is not None and len(self.samples_cpu_ns) != len(self.samples_ns or ()):
            raise ValueError("samples_ns and samples_cpu_ns differ in length")
        out = self.output
        if not len(out.names) == len(out.shapes) == len(out.values):
            raise ValueError("an output with more names than values, or fewer")
        self._check_predictions()
        self._check_rows()
        return self

    def _check_rows(self) -> None:
        """Readings and samples that stand beside each other are as many."""
        served = self.requests
        if served is not None:
            lengths = {len(served.starts_ns), len(served.waits_ns), len(self.samples_ns or ())}
            if len(lengths) > 1:
                raise ValueError("requests that do not fit the samples")
        power = self.power
        if power is not None and any(len(row) != len(power.t_ns) for row in power.watts.values()):
            raise ValueError("watts that do not fit their times")

    def _check_predictions(self) -> None:
        found = self.predictions
        if found is None or found.same_as is not None:
            return
        if len(found.values) != len(found.names) or any(len(v) != len(found.clips) for v in found.values):
            raise ValueError("predictions that do not fit their names and clips")
        if len(set(found.clips)) != len(found.clips):
            raise ValueError("predictions that name a clip twice")


_MEASURED = ("samples_ns", "samples_cpu_ns", "elapsed_ns", "runtime", "memory", "telemetry", "output")

_ADAPTER: pydantic.TypeAdapter[AgentModel] = pydantic.TypeAdapter(
    Annotated[
        _FingerprintMessage
        | _Started
        | _Busy
        | _Cancelled
        | _Error
        | _Lost
        | _Heartbeat
        | _Begin
        | _TrialBegin
        | _Trial
        | _End,
        pydantic.Field(discriminator="kind"),
    ]
)

# The messages of a journal, which are numbered without a gap.
JOURNAL = frozenset({protocol.BEGIN, protocol.TRIAL_BEGIN, protocol.TRIAL, protocol.END})


def read(line: bytes, limits: Limits | None = None) -> dict[str, Any]:
    """The message of one line, every key of its form present. Raises MessageError.

    >>> read(b'{"kind":"lost","message":"gone\\\\u001b[2J"}')
    {'kind': 'lost', 'message': 'gone\\\\x1b[2J'}
    """
    _check_size(line, limits or Limits())
    try:
        message = _ADAPTER.validate_json(line).model_dump()
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MessageError(plain(f"{where + ': ' if where else ''}{first['msg']}")[:300]) from None
    # Without an escape and in ASCII, JSON cannot hold a character that is not plain.
    if b"\\" in line or b"\x7f" in line or not line.isascii():
        message = _cleaned(message)
    return message


def _check_size(line: bytes, limits: Limits) -> None:
    containers = line.count(b"[") + line.count(b"{")
    sizes = (
        ("bytes", len(line), limits.line_bytes),
        ("values", containers + line.count(b","), limits.parts),
        ("lists and objects", containers, limits.containers),
        ("digits in a row", _LONG_NUMBER.search(line) is not None and 1001, 1000),
    )
    for what, found, most in sizes:
        if found > most:
            raise MessageError(f"more than {most:,} {what}")


# Python refuses to print a whole number of more than 4,300 digits.
_LONG_NUMBER = re.compile(rb"[0-9]{1001}")


def _cleaned(value: Any) -> Any:
    """The value with every string in it made plain."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(key): _cleaned(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_cleaned(part) for part in value)
    return value
