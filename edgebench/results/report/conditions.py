"""The conditions of a run as title and text: what must be known before a figure is believed."""

from __future__ import annotations

import datetime
import shlex

from edgebench.results.records.messages import Fingerprint
from edgebench.results.report.launches import launches_sentence
from edgebench.results.report.notes import left_out_text
from edgebench.results.report.tables import overhead_sentence
from edgebench.results.summary import RunSummary


def conditions(summary: RunSummary) -> list[tuple[str, str]]:
    """(title, text) of device, runtime, suite, corpora, licences, harness and command."""
    header = summary.header
    return [
        ("Run", f"{summary.run_id}, {_time(header.started_wall_s)}, {_status(summary)}"),
        ("Command", command_text(summary)),
        *_device(summary),
        *_suite(summary),
        *_launches(summary),
        *_corpora(summary),
        *_licences(summary),
        ("Harness", _harness(summary)),
        ("Null runtime", overhead_sentence(summary)),
    ]


def board_name(board: Fingerprint) -> str:
    """What a board is called: its model, else its processor, which every machine can name."""
    return board.model or board.cpu_model or board.machine


def command_text(summary: RunSummary) -> str:
    """The command that made the run, ready for a shell."""
    return shlex.join(summary.header.command)


def _time(wall_s: float) -> str:
    moment = datetime.datetime.fromtimestamp(wall_s, tz=datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _status(summary: RunSummary) -> str:
    if summary.status == "open":
        return "not ended: still running, or cut short (`edgebench run --resume` collects what the board has)"
    message = summary.end.message if summary.end else None
    return f"{summary.status}: {message}" if message else summary.status


def _device(summary: RunSummary) -> list[tuple[str, str]]:
    device = summary.header.device
    board = device.fingerprint
    memory = f"{board.memory_bytes / 1e9:.1f} GB" if board.memory_bytes else "memory not known"
    swap = f"swap {board.swap_bytes / 1e9:.1f} GB" if board.swap_bytes else "no swap"
    name = f"{device.name}: {board_name(board)}"
    if device.emulated:
        name += ". EMULATED: its speed says nothing about a real board, and the run is no baseline"
    if not device.of_profile:
        name += f". NOT A BOARD OF PROFILE {device.profile}: it was measured all the same, with --force"
    processor = [board.cpu_model or "processor not known", board.machine]
    if board.cpu_count:
        processor.append(f"{board.cpu_count} CPUs")
    interesting = [
        f for f in ("asimddp", "i8mm", "avx2", "avx512_vnni", "avx_vnni") if f in board.cpu_features
    ]
    processor.append("int8 features: " + (", ".join(interesting) or "none"))
    governors = sorted(set(board.governors.values()))
    rows = [
        ("Device", name),
        ("Processor", "; ".join(processor)),
        ("Memory", f"{memory}, {swap}, pages of {board.page_bytes or '?'} bytes"),
        (
            "System",
            "; ".join(filter(None, (board.os, board.kernel and f"kernel {board.kernel}", _libc(summary)))),
        ),
        ("Governor", ", ".join(governors) or "not shown by this machine (no cpufreq)"),
        *_conditioning(summary),
        *_power(summary),
    ]
    if board.virtual:
        rows.append(("Virtual machine", board.virtual))
    for name, runtime in board.runtimes.items():
        text = f"{name} {runtime.version or ''} ({', '.join(runtime.providers) or 'no providers'})"
        rows.append(("Runtime", text + (f"; numpy {runtime.numpy}" if runtime.numpy else "")))
    return rows


def _conditioning(summary: RunSummary) -> list[tuple[str, str]]:
    wanted = summary.header.conditioning
    if wanted is None:
        return []
    parts = [
        f"{name} {value}"
        for name, value in (("governor", wanted.governor), ("mode", wanted.mode), ("clocks", wanted.clocks))
        if value is not None
    ]
    if wanted.cool_c is not None:
        parts.append(f"launches waited until below {wanted.cool_c:g} C, {summary.cooled_s:.0f} s in all")
    return [("Set for the run", ", ".join(parts))]


def _power(summary: RunSummary) -> list[tuple[str, str]]:
    """Where watts come from, where the board or a meter tells any."""
    meter, board = summary.header.meter, summary.header.device.fingerprint.power
    if meter:
        return [("Power", f"by the meter {shlex.join(meter)}, a program on the host")]
    if board is not None and board.source is not None:
        return [("Power", f"rails of the board ({board.source}): {', '.join(board.rails)}")]
    return []


def _libc(summary: RunSummary) -> str:
    board = summary.header.device.fingerprint
    parts = []
    if board.libc:
        parts.append(" ".join(board.libc))
    if board.python:
        parts.append(f"Python {board.python}")
    return "; ".join(parts)


def _suite(summary: RunSummary) -> list[tuple[str, str]]:
    header = summary.header
    wanted = header.requirements
    text = (
        f"{header.suite.get('name', 'unnamed')} (sha256 {header.suite_sha256[:12]}), seed {header.seed}; "
        f"a condition needs {wanted.launches} launches, {wanted.min_duration_s:g} s "
        f"and {wanted.min_count} inferences in all"
    )
    return [("Suite", text)]


def _launches(summary: RunSummary) -> list[tuple[str, str]]:
    text = launches_sentence(summary)
    return [("Launches", text)] if text else []


def _corpora(summary: RunSummary) -> list[tuple[str, str]]:
    rows = []
    for corpus in summary.header.corpora:
        seen = sum(clip.seen for clip in corpus.clips)
        text = (
            f"{len(corpus.clips)} clips, {corpus.n_speakers} speakers, {corpus.audio_s:.0f} s, "
            f"{', '.join(corpus.languages) or 'language not known'}; label_source {corpus.label_source}; "
            f"left out: {left_out_text(corpus.left_out)}; pack {corpus.sha256[:12]}"
        )
        if corpus.split_sha256:
            text += f", split {corpus.split_sha256[:12]}"
        if seen:
            text += f"; {seen} clips of speakers SEEN IN TRAINING are included"
        rows.append((f"Corpus {corpus.name}", text))
    return rows


def _licences(summary: RunSummary) -> list[tuple[str, str]]:
    parts = [f"corpus {corpus.name}: {corpus.licence}" for corpus in summary.header.corpora]
    for artifact in summary.header.artifacts:
        licence = (artifact.manifest or {}).get("licence") or "no manifest, licence not known"
        parts.append(f"{artifact.key}: {licence}")
    return [("Licences", "; ".join(parts))] if parts else []


def _harness(summary: RunSummary) -> str:
    header, end = summary.header, summary.end
    text = f"edgebench {header.harness_version}"
    if header.harness_commit:
        sha, _, dirty = header.harness_commit.partition("+")
        text += f" ({sha[:12]}{', changed since' if dirty else ''})"
    if header.deployment:
        sent = header.deployment
        text += (
            f"; {sent.bytes_sent:,} bytes sent in {sent.files_sent} files, {sent.files_present} were there"
        )
    if end and end.host and end.agent_wall_s is not None and end.host.wall_s > 0:
        share = max(0.0, 1 - end.agent_wall_s / end.host.wall_s)
        text += f"; {end.host.wall_s:.0f} s in all, of which the harness itself took {share:.1%}"
    if end and end.notes:
        text += f"; the run was taken up again, and by then had changed: {'; '.join(end.notes)}"
    return text
