"""The stored lines: what a run leaves behind, one JSON object a line of ``records.jsonl``.

Six kinds, told apart by ``kind``; every one names its ``schema_version`` and its ``run_id``:

``run``
    the header: command, suite, device with fingerprint, artifacts, corpora, requirements.
``reference``
    what the host's fp32 prediction gave for one artifact and one input: the yardstick of parity.
``trial``
    one fresh process on the board, its message kept word for word: raw integer nanoseconds,
    memory marks, telemetry, first output, predictions.
``energy``
    one more launch, around which the board's power was read.
``trace``
    one more launch, under the runtime's profiler, with the file that it left.
``run_end``
    how the run ended and what the harness itself used.

Statistics are not stored: they are functions of these lines (see ``summary``). Everything is
strict and frozen, and an unknown key is an error, save in what the agent says (see ``messages``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

import pydantic

from edgebench.results.records.clip import LabelledClip
from edgebench.results.records.messages import Fingerprint, Json, Output, Predictions, TrialMessage

# Schema history. 1: first. 2: a fingerprint of several runtimes, artifacts of several formats.
SCHEMA_VERSION = 2
# The version of the public JSON (`--json` and the reports). It grows when a name there changes its
# meaning or goes, not with the stored lines.
JSON_VERSION = 1


class RecordModel(pydantic.BaseModel):
    """What the host wrote itself: no unknown keys."""

    model_config = pydantic.ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


# --- the header ---------------------------------------------------------------------------------


class DeviceFacts(RecordModel):
    """The device of a run: profile, address, fingerprint.

    ``environments``: the name of a runtime -> versions of the modules in its environment there.
    ``of_profile``: False where `--force` measured on another kind of board than the profile's.
    """

    name: str
    profile: str | None
    host: str | None = None
    address: str | None
    fingerprint: Fingerprint
    environments: dict[str, dict[str, Json]] = {}
    emulated: bool = False
    of_profile: bool = True


class ArtifactFacts(RecordModel):
    """One model file. ``macs``: input length in seconds, as text -> multiply-accumulates.

    ``opset`` and ``ir_version`` are of files of the format "onnx". ``why_no_macs``: why they could not be
    counted. ``streaming``: how a model that keeps a state was fed.
    """

    key: str
    sha256: str
    format: str = "onnx"
    size_bytes: int
    parameters: int | None
    macs: dict[str, int] = {}
    macs_rule: str | None = None
    why_no_macs: str | None = None
    streaming: dict[str, Any] | None = None
    manifest: dict[str, Json] | None = None
    opset: int | None = None
    ir_version: int | None = None

    @property
    def scheme(self) -> str | None:
        """The quantization scheme that the manifest names; None without a manifest."""
        named = (self.manifest or {}).get("scheme")
        name = named.get("name") if isinstance(named, dict) else None
        return name if isinstance(name, str) else None

    @property
    def origin(self) -> str:
        """The hash that a file shares with those made from the same parent: its parent's, else its own."""
        parent = (self.manifest or {}).get("parent")
        return parent if isinstance(parent, str) else self.sha256

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


class ConvertedFacts(RecordModel):
    """How clips were converted to mono at 16 kHz before they were packed.

    ``resampler``: program, version, quality. ``sample_rates_hz``: clips by the rate they had.
    ``mixed_down``: clips that had several channels, which were averaged.
    """

    resampler: str
    clips: int
    sample_rates_hz: dict[str, int]
    mixed_down: int


def joined(values: Iterable[str]) -> str:
    """The one value, or all of them joined where they differ."""
    return " + ".join(sorted(set(values)))


class CorpusFacts(RecordModel):
    """One packed corpus; ``sha256`` is the pack's. ``left_out``: reason -> number of clips.

    ``release``: the corpus' version where its files say. ``selection``: the tables or parts that were chosen,
    as after the path of ``--corpus``. ``scaled``: clips beyond full scale, divided by their peak.
    """

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
    release: str | None = None
    selection: str | None = None
    converted: ConvertedFacts | None = None
    scaled: int = 0
    clips: tuple[ClipTruth, ...]

    @classmethod
    def of(
        cls, name: str, clips: Sequence[LabelledClip], *, seen: Collection[str] = (), **facts: Any
    ) -> CorpusFacts:
        """The facts of these clips. ``seen``: speakers used in training; ``facts``: the other fields."""
        return cls(
            name=name,
            label_source=joined(clip.label_source for clip in clips),
            languages=tuple(sorted({clip.language for clip in clips})),
            n_speakers=len({clip.speaker for clip in clips}),
            licence=joined(clip.licence for clip in clips),
            clips=tuple(
                ClipTruth(
                    id=clip.id,
                    speaker=clip.speaker,
                    emotion=clip.emotion,
                    arousal=clip.arousal,
                    dominance=clip.dominance,
                    valence=clip.valence,
                    seen=clip.speaker in seen,
                )
                for clip in clips
            ),
            **facts,
        )


class Requirements(RecordModel):
    """What one condition needs to be judged VALID: sums over its launches.

    ``max_start_temperature_c``: a launch must start below it; None where nobody says from where on the
    board lowers its clock. ``sustained_s``: seconds of a sustained launch.
    """

    min_duration_s: float
    min_count: int
    launches: int
    sustained_s: float | None = None
    max_start_temperature_c: float | None = None


class ConditioningFacts(RecordModel):
    """What was changed on the board for the run and put back afterwards; None: left as it was.

    ``clocks``: "max", the lowest clock set to the highest. ``cool_c``: launches waited until the processor
    was cooler, ``cool_limit_s`` in all at most.
    """

    governor: str | None = None
    mode: str | None = None
    clocks: str | None = None
    cool_c: float | None = None
    cool_limit_s: float | None = None


class DeploymentFacts(RecordModel):
    """What went over the wire before the run."""

    bytes_sent: int
    files_sent: int
    files_present: int


class Condition(RecordModel):
    """What was measured: the launches of one condition are repetitions of each other.

    ``artifact`` is a model key, or "null" for the runtime that does nothing. ``rate_hz``: requests a second;
    None where each follows the one before at once.
    """

    artifact: str
    artifact_sha256: str | None
    device: str
    scenario: Literal["single_stream", "offline", "sustained"]
    input_s: float | None
    threads: int
    runtime: str
    corpus: str | None
    rate_hz: float | None = None


class PlannedTrial(RecordModel):
    """One launch as the plan laid it out; a run taken up again finds its conditions here.

    ``estimate_s``: the plan's guess at its wall time. ``group``: launches of one number are repeated
    together where one of them was disturbed. ``trace``: it is to run under the runtime's profiler, and
    its line is a ``trace``. ``energy``: power is read around it, and its line is an ``energy``.
    """

    id: str
    condition: Condition
    launch: int
    round: int
    estimate_s: float
    trace: bool = False
    energy: bool = False
    group: int | None = None

    @property
    def measures(self) -> bool:
        """Whether figures of time and memory are made of it."""
        return not (self.trace or self.energy)


class RunHeader(RecordModel):
    """The first line of a run. ``trials``: what was planned, so that what never ran shows.

    ``meter``: the program on the host that printed watts, with its arguments.
    """

    schema_version: int = SCHEMA_VERSION
    kind: Literal["run"] = "run"
    run_id: str
    started_wall_s: float
    command: tuple[str, ...]
    harness_version: str
    harness_commit: str | None
    suite: dict[str, Json]
    suite_sha256: str
    seed: int
    device: DeviceFacts
    artifacts: tuple[ArtifactFacts, ...]
    corpora: tuple[CorpusFacts, ...]
    requirements: Requirements
    deployment: DeploymentFacts | None
    conditioning: ConditioningFacts | None = None
    meter: tuple[str, ...] | None = None
    trials: tuple[PlannedTrial, ...] = ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What was planned to be measured, in order of first appearance."""
        return tuple(dict.fromkeys(trial.condition for trial in self.trials))


# --- the other lines ----------------------------------------------------------------------------


class ReferenceRecord(RecordModel):
    """What the host predicted with one fp32 file, on the input of the board's trials.

    ``prepared_as``: the artifact by whose manifest the clips were prepared, None for the file's own.
    """

    schema_version: int = SCHEMA_VERSION
    kind: Literal["reference"] = "reference"
    run_id: str
    artifact_sha256: str
    corpus: str | None
    input_s: float | None
    output: Output | None
    predictions: Predictions | None
    prepared_as: str | None = None


class TrialRecord(RecordModel):
    """One launch of one condition. A repeat has the launch and the round of the one it repeats."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["trial"] = "trial"
    run_id: str
    condition: Condition
    launch: int
    round: int
    trial: TrialMessage


class EnergyRecord(RecordModel):
    """One launch of one condition, around which the board's power was read.

    Its times are no measurement of latency: reading the power may take a processor for a moment.
    """

    schema_version: int = SCHEMA_VERSION
    kind: Literal["energy"] = "energy"
    run_id: str
    condition: Condition
    launch: int
    round: int
    trial: TrialMessage


class TraceFile(RecordModel):
    """The trace of a launch, as the runtime wrote it. ``path`` is below the store's folder."""

    path: str
    size_bytes: int
    sha256: str


class TraceRecord(RecordModel):
    """One launch of one condition under the runtime's profiler: none of its times is a measurement.

    ``message``: why there is no file.
    """

    schema_version: int = SCHEMA_VERSION
    kind: Literal["trace"] = "trace"
    run_id: str
    condition: Condition
    launch: int
    round: int
    trial: TrialMessage
    file: TraceFile | None
    message: str | None


class HostUse(RecordModel):
    """What the harness itself used on the host."""

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int | None


class RunEnd(RecordModel):
    """The last line of a run, or of a part of it: a run that broke off and was finished later has several.

    Times are those of the part. ``notes``: what had changed on the board since the run began.
    """

    schema_version: int = SCHEMA_VERSION
    kind: Literal["run_end"] = "run_end"
    run_id: str
    status: Literal["complete", "cancelled", "failed"]
    finished_wall_s: float
    host: HostUse | None
    agent_wall_s: float | None
    message: str | None
    notes: tuple[str, ...] = ()


Record = RunHeader | ReferenceRecord | TrialRecord | EnergyRecord | TraceRecord | RunEnd
# A line of one launch.
LaunchRecord = TrialRecord | EnergyRecord | TraceRecord
