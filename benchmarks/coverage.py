"""How often intervals hold the truth, how often identical files are called different, what is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from benchmarks import real_launches, simulated
from benchmarks.common import Row, Settings, Spread, Target, Tick, main
from benchmarks.simulated import Loads, Speakers, Truth
from edgebench.results.compare import Comparison, compare, compare_artifacts
from edgebench.results.metrics.cost import launch_figure
from edgebench.results.metrics.intervals import Interval, jackknife
from edgebench.results.metrics.ratios import Ratio, paired_ratio, unpaired_ratio
from edgebench.results.metrics.scores import Statistic, category_statistic, concordance
from edgebench.results.metrics.table import METRICS

COMPARED = (
    "Intervals and words of the report, from launches and speakers whose truth is known. Coverage: the share "
    "of 95 % intervals that hold the truth; min, median and max are over the cells of a case, n is their "
    "number. Words: the share of comparisons in which any metric of any condition is called better or worse "
    "(two identical files; three conditions of nine metrics), or in which a file that is 3 % slower is "
    "called worse. Real launches are drawn with replacement from a run of two copies of one file on a shared "
    "machine (benchmarks/data/real_launches.json)."
)

CLUSTERS = (5, 8, 12, 20, 30)
DEVIATIONS = (0.003, 0.01, 0.03)
DRIFTS = (0.0, 0.025, 0.05)
# Rounds of the packaged suite and of the level `standard`.
ROUNDS = 12

HOLDS = Target("93 to 97, every cell", 93, 97, every=True)
AT_LEAST = Target("at least 93, every cell", 93, 100, every=True)
SELDOM = Target("at most 5", 0, 5)
FOUND = Target("at least 95", 95, 100)

Floats = npt.NDArray[np.float64]


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """The table. With ``quick`` the shares are of so few simulations that they mean nothing."""
    samples, comparisons = (40, 4) if settings.quick else (4000, 400)
    parts: list[Callable[[], Row]] = [
        lambda: _figures(samples, "load time", "normal"),
        lambda: _figures(samples, "load time", "t3"),
        lambda: _figures(samples, "load time", "two levels"),
        lambda: _quantiles(samples // 4),
        lambda: _drifting(samples),
        lambda: _pairs(samples, "normal"),
        lambda: _pairs(samples, "t3"),
        lambda: _pairs(samples, "two levels"),
        lambda: _between(samples),
        *(_speakers_part(samples, name) for name in ("ua", "wa", "macro_f1", "ccc_arousal")),
        *(_drops_part(samples, name) for name in ("ua", "macro_f1", "ccc_arousal")),
        lambda: _real_figures(samples),
        lambda: _real_pairs(samples),
        lambda: _words("one run", comparisons, Truth(0.01)),
        lambda: _words("one run, drift 5 %", comparisons, Truth(0.01, drift=0.05)),
        lambda: _words("one run, heavy tails", comparisons, Truth(0.03, "t3")),
        lambda: _words("one run, two levels", comparisons, Truth(0.01, "two levels")),
        lambda: _words("two runs", comparisons, Truth(0.01), paired=False),
        lambda: _power(comparisons // 4, 0.003),
        lambda: _power(comparisons // 4, 0.01),
    ]
    for number, part in enumerate(parts):
        tick(number, len(parts))
        yield part()
    tick(len(parts), len(parts))


def _row(what: str, shares: Mapping[str, float], target: Target, detail: str) -> Row:
    """A row of the shares of several cells; those outside the target are named."""
    out = [f"{cell}: {100 * share:.1f}" for cell, share in shares.items() if not _within(share, target)]
    told = f"{detail}; outside: {', '.join(out)}" if out else detail
    return Row(what, Spread.of([100 * share for share in shares.values()]), "%", target, told)


def _within(share: float, target: Target) -> bool:
    return target.lo <= 100 * share <= target.hi


def _held(interval: Interval, truth: float) -> bool:
    assert interval.lo is not None and interval.hi is not None, interval.reason
    return interval.lo <= truth <= interval.hi


# --- launches ---------------------------------------------------------------------------------------


def _figures(samples: int, title: str, kind: str) -> Row:
    """Figures over launches: one value a launch."""
    metric, where = METRICS["load_ns"], simulated.condition()
    shares = {}
    for deviation in DEVIATIONS:
        for count in CLUSTERS:
            rng = np.random.default_rng([count, round(1e4 * deviation)])
            logs = Truth(deviation, kind).logs(rng, (samples, count))
            launches, held = Loads(count), 0
            for row in logs:
                found = launch_figure(metric, where, [line.trial for line in launches.of(row)])
                held += _held(Interval(found.lo, found.hi, found.reason), 3e7)
            shares[f"{count} launches, {100 * deviation:g} %"] = held / samples
    return _row(f"{title}, {kind}", shares, HOLDS, _cells_text(samples, DEVIATIONS))


def _quantiles(samples: int) -> Row:
    """Figures that are quantiles of a launch's own samples."""
    shares = {}
    for name, z in (("latency_p50_ns", 0.0), ("latency_p90_ns", 1.2815515655)):
        metric = METRICS[name]
        truth = 2e7 * np.exp(simulated.WITHIN * z)
        for count in (5, 12):
            rng = np.random.default_rng(count)
            held = 0
            for _ in range(samples):
                lines = simulated.sample_launches(rng, Truth(0.01).logs(rng, (count,)))
                found = launch_figure(metric, lines[0].condition, [line.trial for line in lines])
                held += _held(Interval(found.lo, found.hi, found.reason), float(truth))
            shares[f"{METRICS[name].title}, {count} launches"] = held / samples
    detail = (
        f"p50 and p90 of {simulated.SAMPLES} samples a launch; 5 and 12 launches; {samples} intervals a cell"
    )
    return _row("latency quantiles, normal", shares, HOLDS, detail)


def _drifting(samples: int) -> Row:
    """A figure while the machine drifts: the interval spans the drift as well."""
    metric, where = METRICS["load_ns"], simulated.condition()
    shares = {}
    for drift in DRIFTS[1:]:
        for count in CLUSTERS:
            rng = np.random.default_rng([count, round(1e4 * drift)])
            launches, held = Loads(count), 0
            for row in Truth(0.01, drift=drift).logs(rng, (samples, count)):
                found = launch_figure(metric, where, [line.trial for line in launches.of(row)])
                held += _held(Interval(found.lo, found.hi, found.reason), 3e7)
            shares[f"{count} launches, drift {100 * drift:g} %"] = held / samples
    detail = (
        f"drift 2.5 and 5 % over the rounds; {samples} intervals a cell; the interval spans the drift as "
        "well, on the safe side"
    )
    return _row("load time, drifting machine", shares, AT_LEAST, detail)


def _ratios(samples: int, kind: str, drift: float, paired: bool) -> Iterator[tuple[str, float]]:
    metric, true = METRICS["load_ns"], 0.98
    make: Callable[..., Ratio] = paired_ratio if paired else unpaired_ratio
    for deviation in DEVIATIONS:
        for count in CLUSTERS:
            rng = np.random.default_rng([count, round(1e4 * deviation), round(1e4 * drift)])
            logs = Truth(deviation, kind, drift).logs(rng, (samples, 2, count))
            one, other, held = Loads(count), Loads(count), 0
            for first, second in logs:
                ratio = make(metric, one.of(first), other.of(second + np.log(true)))
                held += _held(ratio.interval, true)
            yield f"{count} launches, {100 * deviation:g} %, drift {100 * drift:g} %", held / samples


def _pairs(samples: int, kind: str) -> Row:
    shares = dict(cell for drift in DRIFTS for cell in _ratios(samples, kind, drift, True))
    detail = f"{_cells_text(samples, DEVIATIONS)}; drift 0, 2.5 and 5 %; true ratio .98"
    return _row(f"ratio within a run, {kind}", shares, HOLDS, detail)


def _between(samples: int) -> Row:
    shares = dict(_ratios(samples, "normal", 0.0, False))
    return _row("ratio between runs, normal", shares, HOLDS, _cells_text(samples, DEVIATIONS))


def _cells_text(samples: int, deviations: Sequence[float]) -> str:
    launches = ", ".join(map(str, CLUSTERS))
    told = ", ".join(f"{100 * deviation:g}" for deviation in deviations)
    return f"{launches} launches; launch deviation {told} %; {samples} intervals a cell"


# --- speakers ---------------------------------------------------------------------------------------


def _statistic(name: str) -> Statistic:
    return concordance if METRICS[name].of else category_statistic(name, simulated.EMOTIONS)


def _sums(speakers: Speakers, name: str, rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    return speakers.moments(rng, count) if METRICS[name].of else speakers.confusions(rng, count)


def _speakers_part(samples: int, name: str) -> Callable[[], Row]:
    def part() -> Row:
        value, shares = _statistic(name), {}
        for level in (1.0,) if METRICS[name].of else (1.0, 2.5):
            speakers = Speakers(level)
            truth = float(value(_sums(speakers, name, np.random.default_rng(0), 50_000)[0].sum(axis=0)))
            for count in CLUSTERS:
                rng, held = np.random.default_rng([count, round(10 * level)]), 0
                for _ in range(samples // 2):
                    sums, _ = _sums(speakers, name, rng, count)
                    held += _held(
                        jackknife(sums, value, cluster="speaker").interval(METRICS[name].scale), truth
                    )
                shares[f"{count} speakers, true {truth:.2f}"] = held / (samples // 2)
        return _row(METRICS[name].title, shares, HOLDS, _speakers_text(samples // 2))

    return part


def _drops_part(samples: int, name: str) -> Callable[[], Row]:
    def part() -> Row:
        value, shares = _statistic(name), {}
        speakers = Speakers()
        width = 6 if METRICS[name].of else 16

        def drop(sums: Floats) -> Floats:
            return np.asarray(value(sums[..., :width]) - value(sums[..., width:]))

        many = np.hstack(_sums(speakers, name, np.random.default_rng(0), 50_000))
        truth = float(drop(many.sum(axis=0))) if METRICS[name].of else 0.0
        for count in CLUSTERS:
            rng, held = np.random.default_rng(count), 0
            for _ in range(samples // 2):
                sums = np.hstack(_sums(speakers, name, rng, count))
                held += _held(jackknife(sums, drop, cluster="speaker").interval(), truth)
            shares[f"{count} speakers"] = held / (samples // 2)
        detail = f"{_speakers_text(samples // 2)}; the second file repeats nine answers of ten"
        return _row(f"{METRICS[name].title} drop", shares, HOLDS, detail)

    return part


def _speakers_text(samples: int) -> str:
    return f"{', '.join(map(str, CLUSTERS))} speakers of 16 to 48 clips; {samples} intervals a cell"


# --- real launches ----------------------------------------------------------------------------------


def _real_figures(samples: int) -> Row:
    metric, where, shares = METRICS["load_ns"], simulated.condition(), {}
    for name, logs in real_launches.logs().items():
        for number, case in enumerate(logs.reshape(-1, logs.shape[-1])):
            rng, launches, held = np.random.default_rng(1), Loads(ROUNDS), 0
            for _ in range(samples // 4):
                drawn = rng.choice(case - case.mean(), ROUNDS)
                found = launch_figure(metric, where, [line.trial for line in launches.of(drawn)])
                held += _held(Interval(found.lo, found.hi, found.reason), 3e7)
            shares[f"{METRICS[name].title}, case {number + 1}"] = held / (samples // 4)
    return _row("real launches, figures", shares, HOLDS, _real_text(samples // 4))


def _real_pairs(samples: int) -> Row:
    metric, shares = METRICS["load_ns"], {}
    for name, logs in real_launches.logs().items():
        for number, (first, second) in enumerate(logs):
            true, rng, held = float(np.exp(np.mean(second - first))), np.random.default_rng(1), 0
            one, other = Loads(ROUNDS), Loads(ROUNDS)
            for _ in range(samples // 4):
                rounds = rng.integers(0, first.size, ROUNDS)
                ratio = paired_ratio(metric, one.of(first[rounds]), other.of(second[rounds]))
                held += _held(ratio.interval, true)
            shares[f"{METRICS[name].title}, case {number + 1}"] = held / (samples // 4)
    return _row("real launches, ratio within a run", shares, HOLDS, _real_text(samples // 4))


def _real_text(samples: int) -> str:
    stored = json.loads(real_launches.PATH.read_text(encoding="utf-8"))
    names = ", ".join(METRICS[name].title for name in stored["values"])
    return f"{ROUNDS} of {stored['rounds']} rounds drawn; {names}; {samples} intervals a cell"


# --- words ------------------------------------------------------------------------------------------


def _shared(what: str, share: float, comparisons: int, target: Target, detail: str) -> Row:
    """A row of one share over so many comparisons."""
    return Row(what, Spread(100 * share, 100 * share, 100 * share, comparisons), "%", target, detail)


def _says(comparison: Comparison, *words: str) -> bool:
    return any(change.outcome in words for row in comparison.rows for change in row.changes)


def _words(what: str, comparisons: int, truth: Truth, *, paired: bool = True) -> Row:
    """How often identical files are called different."""
    rng, said, tests = np.random.default_rng(7), 0, 0
    for _ in range(comparisons):
        if paired:
            found = compare_artifacts(simulated.run(rng, truth, rounds=ROUNDS))
        else:
            first, second = (
                simulated.run(rng, truth, rounds=ROUNDS, keys=("net.a",), run_id=run_id)
                for run_id in ("01A", "01B")
            )
            found = compare(first, second)
        tests = found.tests
        said += _says(found, "better", "worse")
    detail = (
        f"{comparisons} comparisons of {tests} tests; {ROUNDS} rounds; "
        f"launch deviation {100 * truth.deviation:g} %"
    )
    return _shared(
        f"identical files called different, {what}", said / comparisons, comparisons, SELDOM, detail
    )


def _power(comparisons: int, deviation: float) -> Row:
    """How often a slowdown of 3 % is found."""
    rng, shares = np.random.default_rng(8), []
    for _ in range(comparisons):
        found = compare_artifacts(simulated.run(rng, Truth(deviation), rounds=ROUNDS, slower=1.03))
        words = [c.outcome for row in found.rows for c in row.changes if c.metric == "latency_p50_ns"]
        shares.append(words.count("worse") / len(words))
    detail = (
        f"share of conditions whose latency p50 is called worse; {comparisons} comparisons of three "
        f"conditions; {ROUNDS} rounds"
    )
    what = f"3 % slower called worse, launch deviation {100 * deviation:g} %"
    return _shared(what, float(np.mean(shares)), comparisons, FOUND, detail)


if __name__ == "__main__":
    main("coverage", __doc__)
