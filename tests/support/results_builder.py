"""A small builder of stored lines in the contract's form: what a run on a board leaves behind.

Lines are made as plain JSON objects, as the harness and the agent write them, and go through
``record_from``. Nothing here calls the code under test to compute an expected value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebench.results import Record, record_from

RUN_ID = "01JAAAAAAAAAAAAAAAAAAAAAAA"
FP32, INT8 = "wav2small.fp32", "wav2small.int8_static"
SHA = {FP32: "f" * 64, INT8: "8" * 64}
EMOTIONS = ("anger", "happiness", "neutral", "sadness")
TASKS = {
    "arousal_dominance_valence": {"kind": "dimensional", "labels": ["arousal", "dominance", "valence"]},
    "emotion_logits": {"kind": "categorical", "labels": list(EMOTIONS)},
}


def fingerprint(**changes: Any) -> dict[str, Any]:
    return {
        "machine": "aarch64",
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "compatible": ["raspberrypi,4-model-b", "brcm,bcm2711"],
        "cpu_model": "Cortex-A72",
        "cpu_features": ["fp", "asimd", "crc32"],
        "cpu_count": 4,
        "affinity": [0, 1, 2, 3],
        "kernel": "6.6.31",
        "libc": ["glibc", "2.36"],
        "python": "3.11.2",
        "page_bytes": 4096,
        "memory_bytes": 4 << 30,
        "swap_bytes": 0,
        "governors": {"cpu3": "performance"},
        "boot_id": "boot-1",
        "hostname_sha256": "0" * 64,
        "virtual": None,
        "os": "Debian GNU/Linux 12 (bookworm)",
        "runtimes": {
            "onnxruntime": {
                "name": "onnxruntime",
                "version": "1.23.2",
                "providers": ["CPUExecutionProvider"],
                "numpy": "2.2.6",
                "error": None,
            },
        },
        **changes,
    }


def artifact(key: str, **changes: Any) -> dict[str, Any]:
    int8 = "int8" in key
    manifest = {
        "manifest_version": 1,
        "key": key,
        "tasks": TASKS,
        "scheme": {"name": key.partition(".")[2]},
        "parent": SHA[FP32] if int8 else None,
        "parity": {"reference": SHA[FP32], "max_abs": 0.5 if int8 else 1e-3},
        "licence": "CC-BY-NC-SA-4.0 (weights)",
        "training": {"label_source": "prototype"},
    }
    return {
        "key": key,
        "sha256": SHA.get(key, "a" * 64),
        "size_bytes": 116_341 if int8 else 295_000,
        "parameters": 72_659,
        "macs": {"1.0": 78_000_000, "5.0": 391_000_000},
        "macs_rule": "Conv + Linear + attention products",
        "manifest": manifest,
        "opset": 17,
        "ir_version": 8,
        **changes,
    }


def clips(*, speakers: int = 6, per_emotion: int = 5, seen: bool = False) -> list[dict[str, Any]]:
    """Clips of ``speakers`` speakers, ``per_emotion`` a piece, with prototype dimensions."""
    prototypes = {
        "anger": (0.795, 0.625, 0.245),
        "happiness": (0.755, 0.73, 0.905),
        "neutral": (0.5, 0.5, 0.5),
        "sadness": (0.365, 0.335, 0.185),
    }
    return [
        {
            "id": f"s{speaker}_{emotion}_{n}",
            "speaker": f"s{speaker}",
            "emotion": emotion,
            "arousal": prototypes[emotion][0],
            "dominance": prototypes[emotion][1],
            "valence": prototypes[emotion][2],
            "seen": seen,
        }
        for speaker in range(speakers)
        for emotion in EMOTIONS
        for n in range(per_emotion)
    ]


def corpus(
    name: str = "emodb", *, rows: list[dict[str, Any]] | None = None, **changes: Any
) -> dict[str, Any]:
    rows = clips() if rows is None else rows
    return {
        "name": name,
        "sha256": "c" * 64,
        "split_sha256": "d" * 64,
        "label_source": "synthetic" if name == "synthetic" else "prototype",
        "languages": ["de"],
        "n_speakers": len({row["speaker"] for row in rows}),
        "licence": "CC0",
        "audio_s": 3.0 * len(rows),
        "left_out": {"seen_speaker": 12, "no_label": 3, "unreadable": 1},
        "include_seen": False,
        "clips": rows,
        **changes,
    }


def planned(*conditions: dict[str, Any], launches: int = 3) -> list[dict[str, Any]]:
    """The header's ``trials`` for these conditions."""
    pairs = [(launch, condition) for launch in range(launches) for condition in conditions]
    return [
        {"id": f"t{n:04d}", "condition": condition, "launch": launch, "round": launch, "estimate_s": 1.0}
        for n, (launch, condition) in enumerate(pairs)
    ]


def header(*, run_id: str = RUN_ID, launches: int = 3, **changes: Any) -> dict[str, Any]:
    return {
        "schema_version": 2,
        "kind": "run",
        "run_id": run_id,
        "started_wall_s": 1_790_000_000.0,
        "command": ["edgebench", "run", "--device", "rpi4", "--corpus", "emodb=/data/my emodb"],
        "harness_version": "0.1.0",
        "harness_commit": None,
        "suite": {"name": "default", "duration_s": 10},
        "suite_sha256": "5" * 64,
        "seed": 7,
        "device": {
            "name": "rpi4",
            "profile": "rpi4",
            "address": "pi@192.168.1.20",
            "fingerprint": fingerprint(),
            "environments": {"onnxruntime": {"onnxruntime": "1.23.2"}},
            "emulated": False,
        },
        "artifacts": [artifact(FP32), artifact(INT8)],
        "corpora": [corpus()],
        "requirements": {"min_duration_s": 9.9, "min_count": 64, "launches": launches},
        "deployment": {"bytes_sent": 412_000, "files_sent": 4, "files_present": 0},
        **changes,
    }


def condition(
    key: str = FP32, *, scenario: str = "single_stream", input_s: float | None = 5.0, **changes: Any
) -> dict[str, Any]:
    offline = scenario == "offline"
    return {
        "artifact": key,
        "artifact_sha256": None if key == "null" else SHA.get(key, "a" * 64),
        "device": "rpi4",
        "scenario": scenario,
        "input_s": None if offline else input_s,
        "threads": 1,
        "runtime": "null" if key == "null" else "onnxruntime",
        "corpus": "emodb" if offline else None,
        "rate_hz": None,
        **changes,
    }


def telemetry(**changes: Any) -> dict[str, Any]:
    """Telemetry of a calm board; ``changes`` go into the points of the series and ``after``."""
    calm = {
        "monotonic_ns": 0,
        "freq_hz": {"cpu3": 1.5e9},
        "governor": {"cpu3": "performance"},
        "temperature_c": {"cpu-thermal": 48.3},
        "loadavg_1": 1.0,
        "pswpin": 10,
        "pswpout": 20,
        "boot_id": "boot-1",
        "busy": 0.01,
    }
    later = {**calm, **changes}
    return {
        "before": {**calm, "busy": None},
        "after": {**later, "monotonic_ns": 4_000_000_000},
        "series": [{**later, "monotonic_ns": n * 1_000_000_000} for n in range(1, 4)],
    }


def memory(*, peak_bytes: int = 76 << 20, resettable: bool = True) -> dict[str, Any]:
    def mark(rss: int, hwm: int | None = None) -> dict[str, Any]:
        return {"rss_bytes": rss, "hwm_bytes": hwm or rss, "pss_bytes": rss - 4096, "swap_bytes": 0}

    marks = {
        "interpreter": mark(9 << 20),
        "runtime": mark(44 << 20),
        "model": mark(54 << 20),
        "first_run": mark(72 << 20),
        "end": mark(70 << 20, peak_bytes),
    }
    return {"resettable": resettable, "page_bytes": 4096, "marks": marks}


def samples(median_ns: float, *, count: int = 300, seed: int = 0, spread: float = 0.01) -> list[int]:
    rng = np.random.default_rng(seed)
    return [int(v) for v in median_ns * (1 + spread * rng.standard_normal(count))]


def output(shift: float = 0.0) -> dict[str, Any]:
    return {
        "names": list(TASKS),
        "shapes": [[1, 3], [1, 4]],
        "values": [[0.5 + shift, 0.25, 0.75], [1.5, -0.5 + shift / 2, 0.125, -1.0]],
    }


def predictions(
    rows: list[dict[str, Any]], *, error: float = 0.3, seed: int = 0, shift: float = 0.0
) -> dict[str, Any]:
    """Logits that name the truth but for noise, dimensions that follow it; ``shift`` moves both."""
    rng = np.random.default_rng(seed)
    logits, dimensions = [], []
    for row in rows:
        scores = rng.normal(0, error, 4)
        scores[EMOTIONS.index(row["emotion"] or "neutral")] += 1
        truth = np.array(
            [row[name] if row[name] is not None else 0.5 for name in ("arousal", "dominance", "valence")]
        )
        dimensions.append([float(v) for v in truth + rng.normal(0, error / 5, 3) + shift])
        logits.append([float(v) for v in scores + shift])
    return {
        "clips": [row["id"] for row in rows],
        "names": list(TASKS),
        "values": [dimensions, logits],
        "pass_ns": [],
        "audio_s": 3.0 * len(rows),
    }


def trial(number: int = 0, *, samples_ns: list[int] | None = None, **changes: Any) -> dict[str, Any]:
    taken = samples(20e6, seed=number) if samples_ns is None else samples_ns
    return {
        "kind": "trial",
        "seq": 2 * number + 1,
        "monotonic_ns": 123,
        "id": f"t{number:04d}",
        "index": number,
        "status": "ok",
        "error": None,
        "runtime": {"name": "onnxruntime", "version": "1.23.2", "providers": ["CPUExecutionProvider"]},
        "pid": 4000 + number,
        "threads": 1,
        "affinity": [3],
        "load_ns": 30_000_000 + 1_000_000 * number,
        "first_inference_ns": 25_000_000 + 100_000 * number,
        "warmup_ns": [21_000_000] * 6,
        "warmup_steady": True,
        "samples_ns": taken,
        "elapsed_ns": max(sum(taken), 4_000_000_000),
        "memory": memory(peak_bytes=(76 << 20) + 4096 * number),
        "telemetry": telemetry(),
        "output": output(),
        "predictions": None,
        **changes,
    }


def failed(code: str, message: str, *, signal: int | None = None) -> dict[str, Any]:
    return {
        "kind": "trial",
        "id": "t0000",
        "index": 0,
        "status": "failed",
        "error": {"code": code, "message": message, "signal": signal},
    }


def trial_line(
    where: dict[str, Any], message: dict[str, Any], *, launch: int = 0, run_id: str = RUN_ID
) -> dict[str, Any]:
    return {
        "schema_version": 2,
        "kind": "trial",
        "run_id": run_id,
        "condition": where,
        "launch": launch,
        "round": launch,
        "trial": message,
    }


def run_end(*, run_id: str = RUN_ID, status: str = "complete") -> dict[str, Any]:
    return {
        "schema_version": 2,
        "kind": "run_end",
        "run_id": run_id,
        "status": status,
        "finished_wall_s": 1_790_000_120.0,
        "host": {"wall_s": 120.0, "cpu_s": 3.1, "peak_rss_bytes": 90 << 20},
        "agent_wall_s": 112.0,
        "message": None,
    }


def reference(
    *, corpus_name: str | None = None, input_s: float | None = 5.0, run_id: str = RUN_ID, **changes: Any
) -> dict[str, Any]:
    return {
        "schema_version": 2,
        "kind": "reference",
        "run_id": run_id,
        "artifact_sha256": SHA[FP32],
        "corpus": corpus_name,
        "input_s": None if corpus_name else input_s,
        "output": None if corpus_name else output(),
        "predictions": None,
        **changes,
    }


def run_lines(
    *,
    run_id: str = RUN_ID,
    lengths: tuple[float, ...] = (1.0, 5.0),
    corpora: tuple[dict[str, Any], ...] | None = None,
    slower: float = 1.0,
    models: tuple[tuple[str, float, float], ...] = ((FP32, 4e6, 0.3), (INT8, 3e6, 0.3)),
    change: Callable[[dict[str, Any]], None] | None = None,
    launches: int = 6,
    **changes: Any,
) -> list[dict[str, Any]]:
    """A whole run of ``models`` and the null runtime: every length, every corpus.

    ``models``: (key, nanoseconds for one second of input, noise of the logits).
    ``slower`` multiplies every latency; ``change`` may alter each trial line in place.
    """
    corpora = (corpus(),) if corpora is None else corpora
    lines = [header(run_id=run_id, corpora=list(corpora), launches=launches, **changes)]
    lines += [reference(input_s=length, run_id=run_id) for length in lengths]
    for one in corpora:
        lines.append(
            reference(corpus_name=one["name"], run_id=run_id, predictions=predictions(one["clips"], seed=3))
        )
    number = 0
    for launch in range(launches):
        for key, speed, error in (*models, ("null", 400.0, 0.0)):
            for length in lengths:
                per_input = 1 if key == "null" else length * slower
                taken = samples(speed * per_input * (1 + 0.01 * launch), seed=number)
                message = trial(
                    number,
                    samples_ns=taken,
                    output=None if key == "null" else output(0.01 if key == INT8 else 0.0),
                    memory=memory(
                        peak_bytes=int((40 if key == "null" else 66 + speed / 1e6 + length) * (1 << 20))
                    ),
                )
                lines.append(
                    trial_line(condition(key, input_s=length), message, launch=launch, run_id=run_id)
                )
                number += 1
            for one in corpora:
                if key == "null":
                    continue
                rows = one["clips"]
                taken = samples(speed * 3 * slower, count=2 * len(rows), seed=number)
                shift = 0.02 if key == INT8 else 0.0
                message = trial(
                    number,
                    samples_ns=taken,
                    output=None,
                    predictions=predictions(rows, error=error, seed=3, shift=shift),
                )
                where = condition(key, scenario="offline", corpus=one["name"])
                lines.append(trial_line(where, message, launch=launch, run_id=run_id))
                number += 1
    lines.append(run_end(run_id=run_id))
    for line in lines:
        if change is not None and line["kind"] == "trial":
            change(line)
    return lines


def records(lines: list[dict[str, Any]]) -> list[Record]:
    return [record_from(line) for line in lines]
