"""docs/benchmarks.md: every word and figure of it comes from here and from the results."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import NAMES
from benchmarks.common import HEADINGS, Result, Settings, cells
from edgebench.agent.fingerprint import fingerprint

PATH = Path(__file__).parents[1] / "docs" / "benchmarks.md"
# Processor features that decide which kernels the runtime has.
FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8", "asimddp", "i8mm", "sve")

INTRODUCTION = """\
# Benchmarks of edgebench itself

What edgebench promises about its own measurements, measured. This page is written by `make bench`
(`python -m benchmarks [NAME...]`); do not edit it. Each benchmark is one command; add `--quick` to try it.

Launches of the two sides alternate, A B B A, each in a fresh process; a ratio is made of two neighbours.
`min` and `max` are the extreme pairs, `n` their number. Where there is a 95 % interval, it is that of the
geometric mean of the pairs' ratios (Student's t of their logarithms), and all of it must lie within the
target; where there is none, the median is held against the target.
"""

QUICK = """\
> **Made with `--quick`: this page shows that the benchmarks work. Its figures mean nothing.**
"""


def machine(began: datetime.datetime, load: Sequence[float]) -> list[tuple[str, str]]:
    """What the figures depend on, as it was when the benchmarks began."""
    found: dict[str, Any] = fingerprint({})
    features = [name for name in FEATURES if name in found["cpu_features"]]
    governors = sorted(set(found["governors"].values()))
    return [
        ("date", began.strftime("%Y-%m-%d %H:%M UTC")),
        ("processor", f"{found['cpu_model']} ({', '.join(features) or 'no feature of note'})"),
        ("cores", f"{found['cpu_count']}, of which {len(found['affinity'])} may be used"),
        ("virtual", found["virtual"] or "no"),
        ("governor", ", ".join(governors) or "not told"),
        ("memory", f"{(found['memory_bytes'] or 0) / 2**30:.1f} GiB"),
        ("kernel", found["kernel"]),
        ("system", f"{found['os']}, {' '.join(found['libc'])}"),
        ("Python", found["python"]),
        ("onnxruntime", _version("onnxruntime")),
        ("mlcommons-loadgen", _version("mlcommons-loadgen")),
        ("edgebench", _version("edgebench")),
        ("load average at the start", " ".join(f"{value:.2f}" for value in load) + " (1, 5, 15 min)"),
    ]


def load_average() -> tuple[float, float, float]:
    """To be taken before the first benchmark makes load of its own."""
    return os.getloadavg()


def page(results: Sequence[Result], facts: Sequence[tuple[str, str]], settings: Settings) -> str:
    """The page as Markdown."""
    parts = [INTRODUCTION]
    if settings.quick:
        parts.append(QUICK)
    parts.append(_table(("machine", ""), facts))
    parts.append("## Targets\n\n" + _summary(results))
    parts += [_section(result) for result in results]
    return "\n".join(parts)


def renewed(
    page: str, results: Sequence[Result], facts: Sequence[tuple[str, str]], settings: Settings
) -> str:
    """The page with the sections of these benchmarks replaced or added, and the others as they are."""
    head, targets, *others = page.split("\n## ")
    sections = {text.split("\n", 1)[0]: "## " + text for text in others}
    rows = dict(re.findall(r"^\| (`\w+`) \| (.*) \|$", targets, re.MULTILINE))
    told = dict(facts)
    load = told["load average at the start"]
    when = f"Measured by itself: {told['date']}, {told['processor']}, load {load}.\n"
    for result in results:
        sections[result.name] = "\n".join([_section(result), (QUICK if settings.quick else "") + when])
        rows |= dict([_promise(result)])
    known = {name: number for number, name in enumerate(NAMES)}
    ordered = sorted(sections, key=lambda name: known.get(name, len(known)))
    promises = [(f"`{name}`", rows[f"`{name}`"]) for name in ordered if f"`{name}`" in rows]
    summary = "## Targets\n\n" + _table(("benchmark", "targets"), promises)
    return "\n".join(
        [head.rstrip("\n") + "\n", summary, *(sections[name].rstrip("\n") + "\n" for name in ordered)]
    )


def _summary(results: Sequence[Result]) -> str:
    """Each benchmark with a promise, and whether it was kept."""
    return _table(("benchmark", "targets"), [_promise(result) for result in results])


def _promise(result: Result) -> tuple[str, str]:
    name = f"`{result.name}`"
    verdicts = [row.verdict for row in result.rows if row.target]
    missed = verdicts.count("NOT MET")
    if result.skipped:
        return name, f"not run: {result.skipped}"
    if not verdicts:
        return name, "none promised"
    return (
        name,
        f"{missed} of {len(verdicts)} not met" if missed else f"met ({len(verdicts)} of {len(verdicts)})",
    )


def _section(result: Result) -> str:
    head = f"## {result.name}\n\n`python -m benchmarks.{result.name}`\n\n{result.compared}\n"
    if result.skipped:
        return f"{head}\nNot run: {result.skipped}\n"
    return f"{head}\n" + _table(HEADINGS, [cells(row) for row in result.rows])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
