"""The stored lines: what a run leaves behind, one JSON object a line of ``records.jsonl``.

Four kinds, told apart by ``kind``; every one names its ``schema_version`` and its ``run_id``:

``run``
    the header: command, suite, device with fingerprint, artifacts, corpora, requirements.
``reference``
    what the host's fp32 prediction gave for one artifact and one input: the yardstick of parity.
``trial``
    one fresh process on the board, its message kept word for word: raw integer nanoseconds,
    memory marks, telemetry, first output, predictions.
``run_end``
    how the run ended and what the harness itself used.

Statistics are not stored: they are functions of these lines (see ``summary``). Everything is
strict and frozen, and an unknown key is an error, save in what the agent says (see ``messages``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic

from edgebench.errors import StoreError
from edgebench.results.records.messages import Fingerprint, Output, Predictions, TrialMessage
from edgebench.results.records.upgrades import UPGRADES

# Schema history. 1: first. 2: a fingerprint of several runtimes, artifacts of several formats.
SCHEMA_VERSION = 2
# The version of the public JSON (`--json` and the reports). It grows when a name there changes its
# meaning or goes, not with the stored lines.
JSON_VERSION = 1


class RecordModel(pydantic.BaseModel):
    """What the host wrote itself: no unknown keys."""

    model_config = pydantic.ConfigDict(strict=True, frozen=True, extra="forbid")


# --- the header ---------------------------------------------------------------------------------


class DeviceFacts(RecordModel):
    """The device of a run: profile, address, fingerprint, versions of its environment."""

    name: str
    profile: str | None
    host: str | None = None
    address: str | None
    fingerprint: Fingerprint
    environment: dict[str, Any] = {}
    emulated: bool = False


class ArtifactFacts(RecordModel):
    """One model file. ``macs``: input length in seconds, as text -> multiply-accumulates.

    ``opset`` and ``ir_version`` are of files of the format "onnx".
    """

    key: str
    sha256: str
    format: str = "onnx"
    size_bytes: int
    parameters: int | None
    macs: dict[str, int] = {}
    macs_rule: str | None = None
    manifest: dict[str, Any] | None = None
    opset: int | None = None
    ir_version: int | None = None

    def macs_at(self, input_s: float) -> int | None:
        """MACs of one inference on ``input_s`` seconds, or None where nobody counted them."""
        return next((n for length, n in self.macs.items() if float(length) == input_s), None)


class ClipTruth(RecordModel):
    """Truth of one packed clip. Arousal, dominance, valence in [0, 1]."""

    id: str
    speaker: str
    emotion: str | None
    arousal: float | None
    dominance: float | None
    valence: float | None
    seen: bool = False


class CorpusFacts(RecordModel):
    """One packed corpus; ``sha256`` is the pack's. ``left_out``: reason -> number of clips."""

    name: str
    sha256: str
    split_sha256: str | None
    label_source: str
    languages: tuple[str, ...]
    n_speakers: int
    licence: str
    audio_s: float
    left_out: dict[str, int] = {}
    unreadable: tuple[dict[str, str], ...] = ()
    include_seen: bool = False
    clips: tuple[ClipTruth, ...]


class Requirements(RecordModel):
    """What one condition needs to be judged VALID: sums over its launches.

    ``max_start_temperature_c``: the set point a launch must start below; None where the device
    has none.
    """

    min_duration_s: float
    min_count: int
    launches: int
    max_start_temperature_c: float | None = None


class DeploymentFacts(RecordModel):
    """What went over the wire before the run."""

    bytes_sent: int
    files_sent: int
    files_present: int


class Condition(RecordModel):
    """What was measured: the launches of one condition are repetitions of each other.

    ``artifact`` is a model key, or "null" for the runtime that does nothing.
    """

    artifact: str
    artifact_sha256: str | None
    device: str
    scenario: Literal["single_stream", "offline"]
    input_s: float | None
    threads: int
    runtime: str
    corpus: str | None


class PlannedTrial(RecordModel):
    """One launch as the plan laid it out; a run taken up again finds its conditions here.

    ``estimate_s``: the plan's guess at its wall time.
    """

    id: str
    condition: Condition
    launch: int
    round: int
    estimate_s: float


class RunHeader(RecordModel):
    """The first line of a run. ``trials``: what was planned, so that what never ran shows."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["run"] = "run"
    run_id: str
    started_wall_s: float
    command: tuple[str, ...]
    harness_version: str
    harness_commit: str | None
    suite: dict[str, Any]
    suite_sha256: str
    seed: int
    device: DeviceFacts
    artifacts: tuple[ArtifactFacts, ...]
    corpora: tuple[CorpusFacts, ...]
    requirements: Requirements
    deployment: DeploymentFacts | None
    trials: tuple[PlannedTrial, ...] = ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What was planned to be measured, in order of first appearance."""
        return tuple(dict.fromkeys(trial.condition for trial in self.trials))


# --- the other lines ----------------------------------------------------------------------------


class ReferenceRecord(RecordModel):
    """What the host predicted with one fp32 file, on the input of the board's trials."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["reference"] = "reference"
    run_id: str
    artifact_sha256: str
    corpus: str | None
    input_s: float | None
    output: Output | None
    predictions: Predictions | None


class TrialRecord(RecordModel):
    """One launch of one condition."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["trial"] = "trial"
    run_id: str
    condition: Condition
    launch: int
    round: int
    trial: TrialMessage


class HostUse(RecordModel):
    """What the harness itself used on the host."""

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int | None


class RunEnd(RecordModel):
    """The last line of a run that was not cut short."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["run_end"] = "run_end"
    run_id: str
    status: Literal["complete", "cancelled", "failed"]
    finished_wall_s: float
    host: HostUse | None
    agent_wall_s: float | None
    message: str | None


Record = RunHeader | ReferenceRecord | TrialRecord | RunEnd
_ADAPTER: pydantic.TypeAdapter[Record] = pydantic.TypeAdapter(
    Annotated[Record, pydantic.Field(discriminator="kind")]
)


def upgrade(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of any known version as a line of SCHEMA_VERSION.

    Raises StoreError for a version that is newer than this edgebench, or that no step leads on
    from.
    """
    record = dict(line)
    version = record.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise StoreError(f"a stored line says schema_version {version!r}, which is not a version number.")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"a stored line has schema version {version}, and this edgebench reads versions up to "
            f"{SCHEMA_VERSION}: a newer edgebench wrote it. Upgrade edgebench "
            "(pip install --upgrade edgebench), or read the store with the one that wrote it."
        )
    while version < SCHEMA_VERSION:
        if version not in UPGRADES:
            raise StoreError(
                f"a stored line has schema version {version}, which this edgebench cannot upgrade to "
                f"{SCHEMA_VERSION}. Read the store with the edgebench that wrote it."
            )
        record = UPGRADES[version](record)
        version += 1
        record["schema_version"] = version
    return record


def record_from(line: Mapping[str, Any]) -> Record:
    """The checked record of one stored object, upgraded where it is older.

    >>> record_from({"schema_version": 1, "kind": "run_end", "run_id": "R", "status": "complete",
    ...     "finished_wall_s": 1.0, "host": None, "agent_wall_s": 2, "message": None}).agent_wall_s
    2.0

    Raises StoreError naming the field that is wrong (kind, path, what was found).
    """
    try:
        # subtle: through JSON text, because strict checking of Python objects refuses lists
        # where the frozen models hold tuples; NaN has no JSON and is refused here.
        text = json.dumps(upgrade(line), allow_nan=False)
        return _ADAPTER.validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"a line of kind {line.get('kind')!r} is not a valid record: {where}: {first['msg']} "
            f"({error.error_count()} faults in all)."
        ) from None
    except (TypeError, ValueError) as error:
        raise StoreError(f"a line of kind {line.get('kind')!r} is not a valid record: {error}.") from None


def encode(record: Record) -> bytes:
    """One record as one line of bytes, newline included. The inverse of ``decode``."""
    return record.model_dump_json().encode() + b"\n"


def decode(line: bytes) -> Record:
    """The record of one stored line. Raises StoreError for anything that is not one."""
    try:
        found = json.loads(line)
    except ValueError as error:
        raise StoreError(f"a stored line is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise StoreError(f"a stored line is not an object: {line[:40]!r}.")
    return record_from(found)
