"""What the agent says, as the record keeps it: fingerprint and trial message.

A newer agent may say more than this host understands: unknown keys are kept. What a failed trial
could not measure is null.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pydantic


def _finite(value: Any) -> Any:
    """The value, where no number in it is infinite or NaN: JSON has no such numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number that is not finite")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(part)
    return value


# Any JSON value.
Json = Annotated[Any, pydantic.AfterValidator(_finite)]


# Every figure has bounds far beyond what a board can measure, so that sums and squares stay finite.
Count = Annotated[int, pydantic.Field(ge=0, lt=1 << 63)]
Whole = Annotated[int, pydantic.Field(ge=-(1 << 63), lt=1 << 63)]
Reading = Annotated[float, pydantic.Field(ge=-1e15, le=1e15)]
Value = Annotated[float, pydantic.Field(ge=-1e150, le=1e150)]


class AgentModel(pydantic.BaseModel):
    """What the agent said: unknown keys are kept, missing measurements are null."""

    model_config = pydantic.ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False)
    # Field(init=False) keeps type checkers from taking it for an argument.
    __pydantic_extra__: dict[str, Json] = pydantic.Field(init=False)


class RuntimeFacts(AgentModel):
    """The runtime as it calls itself on the board; ``error`` where it does not import."""

    name: str | None = None
    version: str | None = None
    providers: tuple[str, ...] = ()
    numpy: str | None = None
    error: dict[str, Json] | None = None


class PowerMode(AgentModel):
    """A Jetson's power mode. The numbers differ between boards: the name says which it is."""

    name: str
    id: str | None = None


class PowerSource(AgentModel):
    """Where watts come from on the board: "ina3221", "pmic", or None with the reason."""

    source: str | None = None
    rails: tuple[str, ...] = ()
    reason: str | None = None


class Fingerprint(AgentModel):
    """What the board is. The fields named here are the ones that results depend on.

    ``runtimes``: the name of a runtime -> what its private environment on the board holds.
    ``board_sha256``: hash of the board's serial number, which ``board_id_source`` holds.
    ``throttle_trip_c``: from where on its kernel slows the processors down, by its own trip points.
    """

    machine: str
    model: str | None = None
    compatible: tuple[str, ...] = ()
    cpu_model: str | None = None
    cpu_features: tuple[str, ...] = ()
    cpu_count: Count | None = None
    affinity: tuple[Count, ...] = ()
    kernel: str | None = None
    libc: tuple[str, ...] | None = None
    python: str | None = None
    page_bytes: Count | None = None
    memory_bytes: Count | None = None
    swap_bytes: Count | None = None
    governors: dict[str, str] = {}
    boot_id: str | None = None
    virtual: str | None = None
    os: str | None = None
    board_sha256: str | None = None
    board_id_source: str | None = None
    firmware: str | None = None
    l4t: str | None = None
    power_mode: PowerMode | None = None
    clocks_locked: bool | None = None
    throttle_trip_c: Reading | None = None
    power: PowerSource | None = None
    runtimes: dict[str, RuntimeFacts] = {}

    def runtime(self, name: str) -> RuntimeFacts | None:
        """The facts of the runtime that a condition names, or None where it was not probed."""
        return self.runtimes.get(name)


class TrialError(AgentModel):
    """Why a trial has no result; ``code`` is one of ``edgebench.agent.protocol``."""

    code: str
    message: str
    signal: Whole | None = None


class MemoryMark(AgentModel):
    """One read of /proc/self/status (and smaps_rollup for PSS)."""

    rss_bytes: Count
    hwm_bytes: Count
    anon_bytes: Count | None = None
    file_bytes: Count | None = None
    pss_bytes: Count | None = None
    swap_bytes: Count | None = None


class Memory(AgentModel):
    """Memory marks by phase: interpreter, runtime, model, first_run, first_pass (offline), end."""

    resettable: bool
    page_bytes: Count
    marks: dict[str, MemoryMark]


class Quota(AgentModel):
    """The processor quota of the agent's cgroups: counts since they exist; None: no quota is set."""

    quota_cpus: Reading | None = None
    nr_throttled: Count = 0
    throttled_ns: Count = 0


class BoardState(AgentModel):
    """What is read between two trials only: counters since the start of the board, and answers of programs.

    ``throttled``: a Raspberry Pi's throttle word. ``firmware_hz``, ``kernel_hz``: its processors' clock, as
    the firmware measured it and as the kernel showed it then. ``pmic``: rails of a Pi 5's power chip.
    ``throttle_counts``: how often an x86 processor (``core``, ``package``) or a Jetson's supply (``oc1``
    ...) made the hardware throttle. ``pressure_us``: time in which processes waited for a resource.
    ``unknown``: what this board should tell and did not, with the reason.
    """

    throttled: Count | None = None
    firmware_hz: Reading | None = None
    kernel_hz: Reading | None = None
    pmic: dict[str, dict[str, Reading]] | None = None
    power_mode: PowerMode | None = None
    clocks_locked: bool | None = None
    throttle_counts: dict[str, Count] = {}
    quota: Quota | None = None
    pressure_us: dict[str, Count] = {}
    unknown: dict[str, str] = {}


class Gpu(AgentModel):
    """A Jetson's GPU: its clock, the limits of that, and the share 0..1 of time in which it was busy."""

    freq_hz: Reading | None = None
    min_hz: Reading | None = None
    max_hz: Reading | None = None
    load: Reading | None = None


class TelemetryPoint(AgentModel):
    """The board at one moment. ``busy``: share of all CPUs used by others since the last point.

    ``limits_hz``: lowest and highest clock allowed, by group of processors. ``cooling``: how far the
    kernel holds processors down for heat, by cooling device. ``rails``: ``voltage_v``, ``current_a`` and
    ``power_w`` of a Jetson's rails. ``undervolt``: the Raspberry Pi kernel's alarm. ``state``: of the
    points before and after a trial.
    """

    monotonic_ns: Count
    freq_hz: dict[str, Reading | None] = {}
    governor: dict[str, str | None] = {}
    temperature_c: dict[str, Reading | None] = {}
    loadavg_1: Reading | None = None
    pswpin: Count | None = None
    pswpout: Count | None = None
    boot_id: str | None = None
    busy: Reading | None = None
    limits_hz: dict[str, tuple[Reading, ...]] = {}
    cooling: dict[str, Count] = {}
    rails: dict[str, dict[str, Reading]] = {}
    undervolt: bool | None = None
    gpu: Gpu | None = None
    state: BoardState | None = None


class Telemetry(AgentModel):
    """Points before, during (1-2 Hz) and after one trial."""

    before: TelemetryPoint | None = None
    after: TelemetryPoint | None = None
    series: tuple[TelemetryPoint, ...] = ()

    def points(self) -> tuple[TelemetryPoint, ...]:
        """All points in the order of time."""
        ends = (self.before,), self.series, (self.after,)
        return tuple(point for part in ends for point in part if point is not None)


class Output(AgentModel):
    """The first inference's output: the first 64 floats of each, flattened. Null is not finite.

    ``not_finite``: how many of all values of each are not. ``repeats``: whether the same input gave the
    same answer again; asked of the host alone.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[Count, ...], ...]
    values: tuple[tuple[Value | None, ...], ...]
    not_finite: tuple[Count, ...] = ()
    repeats: bool | None = None


class Predictions(AgentModel):
    """Predictions over a pack: ``values[output][clip]`` is a flat list of floats.

    ``same_as``: the earlier trial of the run that made these very predictions; clips, names and
    values are then stored there alone (see ``launches.with_predictions``).
    """

    clips: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    values: tuple[tuple[tuple[Value | None, ...], ...], ...] = ()
    same_as: str | None = None
    pass_ns: tuple[Count, ...] = ()
    audio_s: Reading | None = None


class Window(AgentModel):
    """What the machine did while the measured loop ran, by the kernel's counters; None: not kept.

    ``begun_ns``, ``ended_ns``: the loop's ends by the board's monotonic clock.
    ``queue_wait_ns``: time in which a thread of the trial could have run and no CPU was given to it.
    ``others``, ``steal``: shares of all CPUs that other processes used and the hypervisor took.
    """

    begun_ns: Count | None = None
    ended_ns: Count | None = None
    elapsed_ns: Whole | None = None
    cpu_ns: Whole | None = None
    queue_wait_ns: Whole | None = None
    others: Reading | None = None
    steal: Reading | None = None


class Requests(AgentModel):
    """Requests at a fixed rate, or one right after the other over a longer time (see ``agent.requests``).

    ``due``, ``late``: requests that were due, and served ones that were not done when the next was due; None
    without a rate. ``busy_ns``: time in which one was served. The samples of the launch are one in
    ``stride`` of those served: ``starts_ns`` since the beginning, ``waits_ns`` from due to begun.
    """

    rate_hz: Reading | None = None
    due: Count | None = None
    served: Count
    late: Count | None = None
    busy_ns: Count
    stride: Count
    starts_ns: tuple[Count, ...]
    waits_ns: tuple[Count, ...]


class Power(AgentModel):
    """Readings of the board's rails around one launch: ``watts`` by rail, each as long as ``t_ns``.

    ``t_ns`` is the board's monotonic clock. ``idle_ns``: begin and end of the stretches in which nothing
    ran, before and after the launch. ``reason``: why there are no readings, or fewer than wanted.
    """

    source: str | None = None
    reason: str | None = None
    hz: Reading
    t_ns: tuple[Count, ...] = ()
    watts: dict[str, tuple[Reading | None, ...]] = {}
    idle_ns: tuple[tuple[Count, Count], ...] = ()


class MeterReadings(AgentModel):
    """Watts that a program on the host printed around one launch; the host adds them.

    ``t_ns`` is the board's monotonic clock, as far as the host can tell (see ``harness.meter``). ``each``:
    how many readings were averaged into one. ``reason``: why there are none, or why they end.
    """

    program: tuple[str, ...]
    reason: str | None = None
    each: Count = 1
    t_ns: tuple[Count, ...] = ()
    watts: tuple[Reading, ...] = ()


class TrialMessage(AgentModel):
    """The agent's ``trial`` message, word for word.

    ``samples_cpu_ns``: process CPU time of each inference, beside its wall time in ``samples_ns``.
    ``disturbed``: the shares of ``window`` that were above the plan's limits, by name (``others``,
    ``steal``, ``queue_wait``); empty where nothing disturbed the launch.
    ``repeat_of``: the planned trial that this one was made again for.
    ``cooled_s``: how long the board was left to cool before this launch.
    ``meter``: what an external meter said; the host sets it.
    ``part``: which part of a run that was taken up again; the host sets it.
    ``trace``: name, size and hash of the file that the runtime's profiler left on the board.
    """

    kind: Literal["trial"] = "trial"
    id: str
    index: Count
    seq: Count = 0
    status: Literal["ok", "failed"]
    error: TrialError | None = None
    runtime: RuntimeFacts | None = None
    pid: Count | None = None
    threads: Count | None = None
    affinity: tuple[Count, ...] | None = None
    load_ns: Count | None = None
    first_inference_ns: Count | None = None
    warmup_ns: tuple[Count, ...] | None = None
    warmup_steady: bool | None = None
    samples_ns: tuple[Count, ...] | None = None
    samples_cpu_ns: tuple[Whole, ...] | None = None
    elapsed_ns: Count | None = None
    window: Window | None = None
    requests: Requests | None = None
    power: Power | None = None
    meter: MeterReadings | None = None
    disturbed: dict[str, Reading] = {}
    repeat_of: str | None = None
    cooled_s: Reading | None = None
    part: Count = 1
    memory: Memory | None = None
    telemetry: Telemetry | None = None
    output: Output | None = None
    predictions: Predictions | None = None
    trace: dict[str, Any] | None = None
