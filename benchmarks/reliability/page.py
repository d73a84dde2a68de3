"""docs/reliability.md: its figures come from the results, its words from here and the table of faults."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.common import MissingError
from benchmarks.reliability.faults import BY_NAME, FAULTS, LINK_S, SLACK_S, Fault
from benchmarks.reliability.host import LAUNCHES, MODEL
from benchmarks.reliability.rounds import ATTEMPTS

COLUMNS = ("lost", "doubled", "wrongly_valid", "hung", "governor_left", "unequal", "other")
INTRODUCTION = f"""\
# Reliability

What happens to a run when something happens to it, tried at random moments. This page is written by
`python -m benchmarks.reliability --results FOLDER`; do not edit it. The command plays the rounds that
FOLDER does not hold yet, so it can be stopped and taken up again; `--only FAULT`, `--rounds N` and
`--seed N` choose. It needs root.

**A round.** `edgebench run` measures {MODEL} on a board over SSH: {LAUNCHES} launches,
single inferences and a corpus, with `--condition governor=performance`. At a random moment of the named
part of the run the fault is planted, and lifted after a random time. Where the command did not bring the
run to its end, the user's next command follows: `run --resume` where a run is known, `run` where nothing
was started; {ATTEMPTS} times at most. Then the store is judged.

**The boards** are this machine in Linux namespaces, each with processes, network, accounts, boot id and
/sys of its own (files of a Raspberry Pi 4 or a Jetson Orin Nano, `vcgencmd` and `nvpmodel` at their real
paths) and a real OpenSSH server. A power cut kills every process of the board at once; what was written
to files stays, as the kernel of this machine lives on. A silent link loses every packet, both ways, and
tells neither side. No figure of speed comes from here: boards share the processors.

**What is counted**; 0 is the target everywhere.

- *lost*: planned launches that the store does not hold at the end; stored lines that went; launches that
  had ended on the board when the fault came and were not stored as they were.
- *doubled*: launches that the store holds twice.
- *wrongly VALID*: conditions called VALID with a launch missing or failed; conditions with a launch that
  stood still for 10 s in one inference, and no UNSTABLE; and, where the fault calls for a code, rounds in
  which no condition carries it, whatever else made them INVALID.
- *hung*: commands that had not ended {LINK_S + SLACK_S:.0f} s after the fault was lifted, or after the
  limit that the table names, plus four times the length of an undisturbed run.
- *governor left*: rounds after which the board's governor was another than before.
- *unequal*: runs that differ from an undisturbed one in anything but times, readings, memory and the
  names of run and place: plan, models, references, the answers of every launch, clip by clip. Not asked
  where launches failed, as some faults make them.
- *other*: rounds with anything else that must not be: a traceback, an exit status that is not documented,
  a process or a folder left on the board, a second command that was not refused.

"""


def page(results: Sequence[Mapping[str, Any]], hostile: Sequence[Mapping[str, Any]]) -> str:
    """The whole page. Raises MissingError where no round was played."""
    if not results:
        raise MissingError("no round was played yet")
    latest = {
        (line["fault"], line["seed"], line["round"]): line for line in results if line["fault"] in BY_NAME
    }
    lines = list(latest.values())
    bad = [line for line in lines if any(line[column] for column in COLUMNS)]
    again = [line for line in results if line not in lines and any(line[column] for column in COLUMNS)]
    parts = [INTRODUCTION, _total(lines, bad, again), _table(lines)]
    if bad:
        parts.append("## Rounds that were not clean\n\n" + "\n".join(map(_bad, bad)) + "\n")
    parts += [_met(lines), FOUND]
    if hostile:
        parts.append(_hostile(hostile))
    return "\n".join(parts)


def _total(
    lines: Sequence[Mapping[str, Any]], bad: Sequence[Mapping[str, Any]], again: Sequence[Mapping[str, Any]]
) -> str:
    commits = sorted({str(line["commit"])[:7] for line in lines})
    seeds = sorted({line["seed"] for line in lines})
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    return (
        f"## Faults\n\n**{len(lines)} rounds, {len(lines) - len(bad)} of them clean**, seed "
        f"{', '.join(map(str, seeds))}, commits {', '.join(commits)}; page of {today}, "
        f"{platform.machine()}, Linux {platform.release()}. A round counts as it was last "
        f"played: {len(again)} plays before were not clean, and were played again (`--again`) once "
        "edgebench or the campaign was mended.\n"
    )


def _table(lines: Sequence[Mapping[str, Any]]) -> str:
    heads = ["fault", "what happens", "moments", *(column.replace("_", " ") for column in COLUMNS)]
    heads = [head.replace("valid", "VALID") for head in heads]
    rows = [f"| {' | '.join(heads)} |", "| --- | --- |" + " ---: |" * (1 + len(COLUMNS))]
    for fault in FAULTS:
        own = [line for line in lines if line["fault"] == fault.name]
        counts = [sum(_count(line[column]) for line in own) for column in COLUMNS]
        cells = [fault.name, _told(fault), str(len(own)), *map(str, counts)]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _count(value: Any) -> int:
    return int(bool(value)) if isinstance(value, list) else int(value)


def _told(fault: Fault) -> str:
    more = [f"in {fault.phase}" if fault.phase != "whole" else "at any moment"]
    if fault.codes:
        more.append(f"must leave {', '.join(fault.codes)}")
    if fault.may_fail:
        more.append(f"launches may fail with {', '.join(fault.may_fail)}")
    if fault.refused:
        more = ["refused with status 5, before anything is sent"]
    if fault.within_s != LINK_S:
        more.append(f"within {fault.within_s + SLACK_S:.0f} s")
    return f"{fault.told} ({'; '.join(more)})"


def _bad(line: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{column} {line[column]}" for column in COLUMNS[:-1] if line[column])
    words = "; ".join(str(word) for word in line["other"]).replace("|", "\\|").replace("\n", " ")
    return (
        f"- {line['fault']}, round {line['round']} of seed {line['seed']}: {counts or 'other'}. {words[:400]}"
    )


def _met(lines: Sequence[Mapping[str, Any]]) -> str:
    """Where in the runs the faults came, and how the runs went on."""
    lines = [line for line in lines if line["parts"]]
    early = sum("measuring" not in line["stage"] for line in lines)
    late = sum(bool(line["ended"]) for line in lines)
    alone = sum(len(line["statuses"]) == 1 for line in lines)
    parts = sum(line["parts"] > 1 for line in lines)
    return (
        f"The fault came before the first launch in {early} rounds, after the command's end in {late}. In "
        f"{alone} one command brought the run to its end, in the others the user needed a second; {parts} "
        "runs were measured in several parts.\n"
    )


def _hostile(results: Sequence[Mapping[str, Any]]) -> str:
    rows = list({row["what"]: row for row in results}.values())
    table = [
        "| the agent says | tried | host memory at most | longest of allowed | raw on terminal | outside |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        memory = f"{row['peak_bytes'] / 1e6:.0f} MB"
        longest = f"{row['longest_s']:.1f} of {row['within_s']:.0f} s"
        table.append(
            f"| {row['what']} | {row['tried']} | {memory} | {longest} | {row['raw']} | {row['outside']} |"
        )
    bad = [f"- {row['what']}: {'; '.join(row['wrong'])}" for row in rows if row["wrong"]]
    return HOSTILE + "\n".join([*table, "", *(bad or ["Nothing else went wrong in any of them."])]) + "\n"


FOUND = """\
## What it found

By its rounds, or while it was built; each is mended and has a test of its own.

- The link lost between the request to start a run and its answer: the run went on and was forgotten, and its
  folder stayed on the board. It is known now, and collected.
- Ctrl-C threw away launches that had ended on the board and that nobody had read yet; in its first second,
  while the command line was still being read from disk, it ended with a traceback.
- A power cut while `--condition` held: `--resume` was refused, because the board was still in the state that
  the run had set. Whoever asks what the board is now has it put back first.
- A disk that filled while measuring: no room was left to say so, and the run ended without a reason; one
  that was full at the start was told with a traceback of the agent.
- A byte now and then, and never the end of a line: the host waited for ever.
- A board that stood still for 30 s within a launch: the condition could be VALID. It is UNSTABLE.

"""

HOSTILE = """\
## A hostile agent

The agent on the board is replaced by one that answers as the row says; `edgebench run` measures there in
a process of its own, whose peak resident memory the kernel reports. Targets: below 300 MB, an end within
the time that the row allows, no control character on the terminal, no file outside of store and cache.
Messages that an honest run of seconds does not hold (heartbeat, busy, cancelled, error, lost) are spoiled
in `tests/test_fuzz.py`, 20,000 times in all with `make fuzz`.

"""
