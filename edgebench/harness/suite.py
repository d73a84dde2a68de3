"""A suite: what to measure, for how long. One TOML file, parsed strictly and frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from edgebench.agent.runtimes.table import RUNTIMES
from edgebench.errors import ConfigError, UsageError, explain, nearest
from edgebench.results.metrics.energy import MIN_READINGS
from edgebench.text import read_toml

Level = Literal["quick", "standard", "publish"]
Scenario = Literal["single_stream", "offline", "sustained"]

# Seconds of measuring a condition, all launches together. MLPerf Tiny asks for 10 s windows,
# MLPerf Inference for 600 s.
LEVELS: dict[str, float] = {"quick": 10.0, "standard": 60.0, "publish": 600.0}

# A slip of the keyboard must not plan for years: a week, a million samples, a thousand launches.
Positive = Annotated[float, Field(gt=0, le=604_800)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Launches = Annotated[int, Field(ge=1, le=1000)]
Threads = Annotated[int, Field(ge=1, le=1024)]
Length = Annotated[float, Field(gt=0, le=3600)]
Share = Annotated[float, Field(gt=0, le=1)]
Duration = Annotated[float, Field(ge=1, le=86_400)]
# A request takes at least some microseconds, and the rows of a launch have an end.
Rate = Annotated[float, Field(ge=0.01, le=10_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Warmup(_Strict):
    """Warm up until two successive windows of latencies agree, or until the cap."""

    min_count: Count = 5
    max_s: Positive = 3.0
    window: Count = 10
    tolerance: Positive = 0.02


class Session(_Strict):
    """Settings of the runtime that change what is measured; recorded with every trial."""

    graph_level: Literal["disabled", "basic", "extended", "all"] = "all"
    arena: bool = True
    mem_pattern: bool = True
    prepacking: bool = True
    mapped_weights: bool = False
    return_memory: bool = False
    xnnpack: bool = True


class Limits(_Strict):
    """When to give up."""

    trial_timeout_s: Positive = 900.0


class Repeats(_Strict):
    """Which launches were disturbed, and how many are made again at the end of a run.

    ``budget`` is a share of the planned launches; 0 repeats none. A launch is disturbed where other
    processes used more than ``others`` of all processors, the hypervisor took more than ``steal`` of
    them, or the launch waited for a processor for more than ``queue_wait`` of its time. Where more
    than ``busy_host`` of all launches were disturbed, none is repeated: the host is busy all the time.
    """

    budget: Annotated[float, Field(ge=0, le=1)] = 0.25
    others: Share = 0.10
    steal: Share = 0.02
    queue_wait: Share = 0.02
    busy_host: Share = 0.5


class Energy(_Strict):
    """Launches around which the board's power is read; of none of them a latency is reported.

    ``duration_s``: seconds of inferences in each. ``idle_s``: seconds before and after it in which nothing
    runs, for the power of the idle board. ``hz``: readings a second.
    """

    launches: Launches = 5
    duration_s: Duration = 10.0
    idle_s: Annotated[float, Field(ge=1, le=600)] = 5.0
    hz: Annotated[float, Field(gt=0, le=10)] = 2.0

    @model_validator(mode="after")
    def _enough_readings(self) -> Self:
        """An integral needs ``results.metrics.energy.MIN_READINGS``; the edges may take one."""
        if self.hz * self.duration_s < MIN_READINGS + 1:
            raise ValueError(
                f"{self.hz:g} readings a second for {self.duration_s:g} s are fewer than the "
                f"{MIN_READINGS + 1} that an energy needs; raise hz or duration_s"
            )
        return self


class Sustained(_Strict):
    """One long launch a condition: what the board does in its first minute against its last.

    ``duration_s``: of each. ``idle_s``: as in ``Energy``.
    """

    launches: Launches = 1
    duration_s: Duration = 1800.0
    idle_s: Annotated[float, Field(ge=1, le=600)] = 10.0


class Suite(_Strict):
    """What a run measures.

    ``level`` sets the seconds of measuring a condition (all launches together) unless
    ``min_duration_s`` does; ``min_count`` is the least number of inferences, likewise together.
    ``offline_launches`` is the most launches that an offline condition gets, each a pass over the
    corpus at least; None: as many as the others. ``runtimes``: a model is measured in each of them that
    loads its format, and in the default one of its format where there is none. ``rate_hz``: requests of
    single_stream and sustained come at this rate; None: each follows the one before at once. ``energy``:
    None where no energy is measured.
    """

    name: str
    description: str = ""
    scenarios: tuple[Scenario, ...] = ("single_stream", "offline")
    input_s: Annotated[tuple[Length, ...], Field(max_length=64)] = (1.0, 2.0, 5.0, 10.0)
    threads: Annotated[tuple[Threads, ...], Field(min_length=1, max_length=64)] = (1,)
    level: Level = "quick"
    min_duration_s: Positive | None = None
    launches: Launches = 3
    offline_launches: Launches | None = None
    min_count: Count = 64
    corpora: tuple[str, ...] = ("synthetic",)
    runtimes: tuple[str, ...] = ()
    null_runtime: bool = True
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 1
    warmup: Warmup = Warmup()
    session: Session = Session()
    limits: Limits = Limits()
    repeats: Repeats = Repeats()
    energy: Energy | None = None
    sustained: Sustained | None = None
    rate_hz: Rate | None = None

    @model_validator(mode="after")
    def _sustained_is_told(self) -> Self:
        """How long a sustained launch takes is in the suite wherever it has any."""
        if "sustained" in self.scenarios and self.sustained is None:
            object.__setattr__(self, "sustained", Sustained())
        return self

    @field_validator("runtimes")
    @classmethod
    def _known_runtimes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = [name for name, formats in RUNTIMES.items() if formats]
        for name in names:
            if name not in known:
                raise ValueError(f"there is no runtime {name!r}; {nearest(name, known)}")
        return names

    @property
    def duration_s(self) -> float:
        """Seconds of measuring a condition, all launches together."""
        return self.min_duration_s if self.min_duration_s is not None else LEVELS[self.level]

    def launches_of(self, scenario: str) -> int:
        """Launches of a condition of this scenario."""
        if scenario == "sustained":
            return (self.sustained or Sustained()).launches
        if scenario == "offline" and self.offline_launches is not None:
            return min(self.launches, self.offline_launches)
        return self.launches

    def sha256(self) -> str:
        """Hash of the resolved suite: equal suites measure alike, whatever their files look like."""
        # Settings that came later count where they are set: suites of before keep their hash.
        later = {name for name in ("energy", "sustained", "rate_hz") if getattr(self, name) is None}
        return hashlib.sha256(self.model_dump_json(exclude=later).encode()).hexdigest()


def packaged_suites() -> list[str]:
    """Names of the suites that ship with edgebench."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in resources.files("edgebench.harness").joinpath("suites").iterdir()
        if entry.name.endswith(".toml")
    )


def load_suite(
    name_or_path: str = "packaged",
    *,
    session: Mapping[str, Any] | None = None,
    energy: bool = False,
    sustained_s: float | None = None,
    **overrides: Any,
) -> Suite:
    """Read a packaged suite by name or a suite file by path; ``overrides`` replace its values.

    ``session`` replaces single settings of the runtime. ``energy``: measure energy as the suite says, or by
    the defaults. ``sustained_s``: measure long launches of so many seconds, and nothing else.

    Raises UsageError for a name that is neither, ConfigError for a file that is not a suite.
    """
    path = Path(name_or_path)
    if name_or_path in packaged_suites():
        text = resources.files("edgebench.harness").joinpath("suites", f"{name_or_path}.toml").read_text()
    elif path.exists() and not path.is_dir():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"suite {name_or_path}: cannot be read as text ({error}).") from None
    else:
        raise UsageError(
            f"suite {name_or_path!r}: there is no such file and no packaged suite of that name; "
            f"{nearest(name_or_path, packaged_suites())}."
        )
    try:
        values = read_toml(text)
    except ValueError as error:
        raise ConfigError(f"suite {name_or_path}: not valid TOML ({error}).") from None
    values.update({key: value for key, value in overrides.items() if value is not None})
    if energy:
        values.setdefault("energy", {})
    if sustained_s is not None:
        values["scenarios"] = ["sustained"]
        values["sustained"] = {**(values.get("sustained") or {}), "duration_s": sustained_s}
    if session:
        values["session"] = {**values.get("session", {}), **session}
    if "level" in overrides and overrides["level"] is not None:
        # A level asked for on the command line wins over a duration in the file.
        values.pop("min_duration_s", None)
    try:
        return Suite.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"suite {name_or_path}: {explain(error, Suite)}.") from None
