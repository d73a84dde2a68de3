"""Runs through the agent's own zip: what is said, what is measured, what goes wrong."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import psutil
import pytest
from agent_board import Board, endless, model, trial

from edgebench.agent import pack, waveform
from edgebench.corpora import packfile

MIB = 1 << 20


def host_outputs(artifact: Path, clip: np.ndarray) -> list[np.ndarray]:
    """The oracle: onnxruntime in this process."""
    session = onnxruntime.InferenceSession(str(artifact), providers=["CPUExecutionProvider"])
    return session.run(None, {"waveform": clip[None, :]})


def test_a_run_from_start_to_end(board: Board) -> None:
    artifact = board.blob(model())
    messages = board.run(trial(artifact, id="a"), trial(None, id="b"), trial(artifact, id="c", pin=False))
    kinds = ["begin", "trial_begin", "trial", "trial_begin", "trial", "trial_begin", "trial", "end"]
    assert [message["kind"] for message in messages] == kinds
    assert [message["seq"] for message in messages] == list(range(8))
    assert [message["id"] for message in messages if message["kind"] == "trial"] == ["a", "b", "c"]
    stamps = [message["monotonic_ns"] for message in messages]
    assert stamps == sorted(stamps)
    begin, end = messages[0], messages[-1]
    assert (begin["protocol"], begin["run_id"], begin["trials"]) == (2, "run0", 3)
    assert begin["agent_sha256"] == board.agent.name
    assert begin["fingerprint"]["runtimes"]["onnxruntime"]["version"] == onnxruntime.__version__
    assert (end["status"], end["trials_done"]) == ("complete", 3)

    first, null, loose = (message for message in messages if message["kind"] == "trial")
    assert first["status"] == "ok" and first["error"] is None
    assert first["runtime"]["providers"] == ["CPUExecutionProvider"]
    allowed = sorted(os.sched_getaffinity(0))
    assert (first["affinity"], loose["affinity"]) == ([allowed[-1]], allowed)
    assert len({first["pid"], null["pid"], loose["pid"]}) == 3
    for result in (first, null, loose):
        samples = result["samples_ns"]
        assert len(samples) >= 16 and all(type(sample) is int and sample > 0 for sample in samples)
        assert sum(samples) <= result["elapsed_ns"]
        assert result["elapsed_ns"] >= 0.1e9 or len(samples) == 200000
        assert len(result["warmup_ns"]) >= 5
    assert first["load_ns"] > 1e5 and first["first_inference_ns"] > 0
    assert statistics.median(null["samples_ns"]) < 5000 < first["load_ns"]

    noise = waveform.generate(1600, seed=7)
    expected = host_outputs(board.root / "blobs" / artifact, noise)
    assert first["output"]["names"] == ["mean", "power"]
    assert first["output"]["shapes"] == [[1], [1]]
    assert first["output"]["values"] == [pytest.approx(out.ravel().tolist(), abs=1e-6) for out in expected]

    telemetry = first["telemetry"]
    assert telemetry["before"]["monotonic_ns"] < telemetry["after"]["monotonic_ns"]
    assert telemetry["series"] and telemetry["after"]["boot_id"] == begin["boot_id"]
    # The lock is free again and names nobody.
    assert (board.root / "lock").read_text() == ""


def test_offline_predicts_every_clip_like_the_host(board: Board, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    clips = {
        name: rng.integers(-9000, 9000, n).astype(np.int16) for name, n in [("a", 400), ("b", 4000), ("c", 9)]
    }
    packfile.write(tmp_path / "pack", clips.items())
    artifact = board.blob(model())
    steps = [{"step": "pad", "min_s": 0.1}, {"step": "crop", "max_s": 0.2}]
    packed = board.blob((tmp_path / "pack").read_bytes())
    offline = trial(artifact, scenario="offline", input_s=None, pack=packed, preparation=steps)
    (result,) = board.results(offline)
    assert result["error"] is None
    predictions = result["predictions"]
    assert predictions["clips"] == ["a", "b", "c"] and predictions["names"] == ["mean", "power"]
    for index, clip in enumerate(clips.values()):
        heard = np.pad(clip / 32768, (0, max(0, 1600 - len(clip))))[:3200].astype(np.float32)
        for name, expected in enumerate(host_outputs(board.root / "blobs" / artifact, heard)):
            assert predictions["values"][name][index] == pytest.approx(expected.tolist(), abs=1e-7)
    passes = len(predictions["pass_ns"])
    assert passes >= 6  # 16 utterances at least, in whole passes of 3
    assert len(result["samples_ns"]) == 3 * passes
    assert sum(result["samples_ns"]) <= sum(predictions["pass_ns"]) <= result["elapsed_ns"]
    assert predictions["audio_s"] == pytest.approx((400 + 4000 + 9) / 16000)


def test_what_cannot_be_measured_says_why_and_the_next_trial_goes_on(board: Board, tmp_path: Path) -> None:
    good = model()
    offline = {"scenario": "offline", "input_s": None}
    packfile.write(tmp_path / "pack", [("a", np.zeros(1600, np.int16))])
    packed = (tmp_path / "pack").read_bytes()
    ok = board.blob(good)
    asked = {
        "MODEL_LOAD": [
            trial(board.blob(good[: len(good) // 2]), id="truncated"),
            trial(board.blob(b"not a model"), id="no model"),
            trial("0" * 64, id="missing"),
            trial(board.blob(model(inputs=2)), id="two inputs"),
            trial(board.blob(model(axes=("batch", 1601))), id="fixed length"),
            trial(board.blob(model(axes=("batch", 2, "samples"))), id="stereo"),
        ],
        "PREPARATION": [
            trial(ok, id="unknown step", preparation=[{"step": "loudness"}]),
            trial(ok, id="no pack", pack=None, **offline),
            trial(ok, id="cut pack", pack=board.blob(packed[:-2]), **offline),
            trial(ok, id="other rate", pack=board.blob(packed), **offline, sample_rate_hz=8000),
        ],
        "RUNTIME_IMPORT": [trial(ok, id="unknown runtime", runtime="abacus")],
    }
    results = board.results(*(one for trials in asked.values() for one in trials), trial(ok, id="good"))
    assert results[-1]["status"] == "ok"
    for result, (code, one) in zip(
        results, ((c, t) for c, trials in asked.items() for t in trials), strict=False
    ):
        assert result["id"] == one["id"] and result["status"] == "failed"
        assert result["error"]["code"] == code, result["error"]
        assert result["error"]["message"] and "Traceback" not in result["error"]["message"]
        assert result["samples_ns"] == [] and result["memory"]["marks"]["interpreter"]["rss_bytes"] > 0


def test_a_file_that_changed_since_it_was_sent_is_not_measured(board: Board) -> None:
    """A bit flips between two launches of one run: what a card that fails does."""
    artifact, other = board.blob(model()), board.blob(model(nan=True))
    run_dir = board.start(trial(artifact), endless(other, id="t0001"), trial(artifact, id="t0002"))
    process = board.wait_for_trial(run_dir, "t0001")
    path = board.root / "blobs" / artifact
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    process.kill()
    first, _, last = (m for m in board.verb("follow", run_dir, 0) if m["kind"] == "trial")
    assert first["status"] == "ok"
    assert (last["status"], last["error"]["code"]) == ("failed", "FILE_CHANGED")
    assert artifact in last["error"]["message"]


def test_input_shapes_nan_and_two_threads(board: Board) -> None:
    results = board.results(
        trial(board.blob(model(axes=("samples",))), id="rank 1"),
        trial(board.blob(model(axes=("batch", 1, "samples"))), id="rank 3"),
        trial(board.blob(model(axes=(1, 1600))), id="fixed, fits"),
        trial(board.blob(model(nan=True)), id="nan", threads=2),
    )
    assert [result["status"] for result in results] == ["ok"] * 4
    power = float(np.mean(waveform.generate(1600, seed=7).astype(np.float64) ** 2))
    for result in results[:3]:
        assert result["output"]["values"][1] == [pytest.approx(power, rel=1e-5)]
    assert results[3]["output"]["values"][1] == [None]
    assert results[3]["threads"] == 2
    assert results[3]["affinity"] == sorted(os.sched_getaffinity(0))[-2:]


def test_one_run_at_a_time_heartbeats_and_cancel(board: Board) -> None:
    artifact = board.blob(model())
    run_dir = board.start(trial(None, id="a"), endless(artifact, id="b"), trial(None, id="c"))
    running = board.wait_for_trial(run_dir, "b")

    plan, second = board.plan(trial(None))
    (answer,) = board.verb("start", plan, second)
    assert answer["kind"] == "busy"
    holder = answer["holder"]
    assert (holder["run_id"], holder["user"]) == ("run0", "tester")
    assert holder["pid"] == board.supervisor(run_dir).pid
    assert not (second / "journal.jsonl").exists()

    argv = [board.python, str(board.agent), "follow", str(run_dir), "3"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        begun = time.monotonic()
        messages = [json.loads(follower.stdout.readline())]
        while messages[-1]["kind"] != "heartbeat":
            messages.append(json.loads(follower.stdout.readline()))
        assert time.monotonic() - begun < 6
        assert [message["kind"] for message in messages] == ["trial_begin", "heartbeat"]
        assert messages[0]["seq"] == 3
        now_ns = messages[1].pop("monotonic_ns")
        assert 0 <= time.monotonic_ns() - now_ns < 10e9
        assert messages[1] == {"kind": "heartbeat", "pid": holder["pid"], "index": 1, "id": "b"}

        assert board.verb("cancel", run_dir) == [{"kind": "cancelled", "was_running": True}]
        assert not running.is_running()
        rest = [json.loads(line) for line in follower.stdout]
    assert [message["kind"] for message in rest] == ["trial", "end"]
    assert rest[0]["error"]["code"] == "CANCELLED_BY_HOST"
    assert (rest[1]["status"], rest[1]["trials_done"]) == ("cancelled", 1)
    assert board.verb("cancel", run_dir) == [{"kind": "cancelled", "was_running": False}]
    assert board.verb("start", plan, second)[0]["kind"] == "started"
    assert board.verb("follow", second, 0)[-1]["status"] == "complete"


def test_runs_that_measure_nothing_share_the_board_with_each_other_alone(board: Board) -> None:
    """As predictions for two boards do on their host."""
    artifact = board.blob(model())
    runs = [board.plan(endless(artifact), exclusive=False) for _ in range(2)]
    assert [board.verb("start", *run)[0]["kind"] for run in runs] == ["started", "started"]
    measuring, late = board.plan(endless(artifact)), board.plan(trial(None), exclusive=False)
    assert board.verb("start", *measuring)[0]["kind"] == "busy"
    for _, run_dir in runs:
        board.verb("cancel", run_dir)
    assert board.verb("start", *measuring)[0]["kind"] == "started"
    assert board.verb("start", *late)[0]["kind"] == "busy"


def test_a_killed_trial_is_told_and_the_next_one_runs(board: Board) -> None:
    artifact = board.blob(model())
    run_dir = board.start(endless(artifact, id="a"), trial(artifact, id="b"))
    board.wait_for_trial(run_dir, "a").send_signal(signal.SIGKILL)
    messages = board.verb("follow", run_dir, 0)
    killed, ok = (message for message in messages if message["kind"] == "trial")
    assert killed["error"]["code"] == "KILLED" and killed["error"]["signal"] == 9
    assert killed["memory"]["marks"]["interpreter"]["hwm_bytes"] > 0  # what was known when it died
    assert ok["status"] == "ok" and messages[-1]["status"] == "complete"


def test_a_trial_that_outruns_its_limit_is_ended(board: Board) -> None:
    begun = time.monotonic()
    late, ok = board.results(endless(board.blob(model()), id="late", timeout_s=1.0), trial(None, id="ok"))
    assert late["error"]["code"] == "TIMEOUT" and "1 s" in late["error"]["message"]
    assert ok["status"] == "ok" and time.monotonic() - begun < 10
    assert not psutil.pid_exists(late["pid"])


def test_the_journal_outlives_its_supervisor(board: Board) -> None:
    artifact = board.blob(model())
    run_dir = board.start(trial(artifact, id="a"), endless(artifact, id="b"))
    child = board.wait_for_trial(run_dir, "b")
    board.supervisor(run_dir).send_signal(signal.SIGKILL)
    with (run_dir / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"kind":"trial","seq":4,"samp')  # the line it was writing
    messages = board.verb("follow", run_dir, 0)
    assert [message["kind"] for message in messages] == [
        "begin",
        "trial_begin",
        "trial",
        "trial_begin",
        "lost",
    ]
    assert messages[2]["status"] == "ok"
    deadline = time.monotonic() + 5
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the orphaned trial goes on"
        time.sleep(0.05)
    # Nobody holds the board any more.
    assert board.results(trial(None))[0]["status"] == "ok"


def test_a_pid_that_went_to_another_process_is_not_the_supervisor(board: Board) -> None:
    run_dir = board.start(trial(None))
    board.verb("follow", run_dir, 0)
    journal = run_dir / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    boot = (run_dir / "pid").read_text().split()[2]
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (run_dir / "pid").write_text(f"{stranger.pid} 1 {boot}\n")  # another start time
        assert board.verb("follow", run_dir, 3)[-1]["kind"] == "lost"
        assert board.verb("cancel", run_dir)[0]["was_running"] is False
        started = Path(f"/proc/{stranger.pid}/stat").read_text().split()[21]
        (run_dir / "pid").write_text(f"{stranger.pid} {started} another-boot\n")
        assert "restarted" in board.verb("follow", run_dir, 3)[-1]["message"]
        assert stranger.poll() is None
        stranger.kill()


def test_weights_of_known_size_appear_in_the_memory_of_the_model(board: Board) -> None:
    light, heavy = board.results(
        trial(board.blob(model()), id="light"), trial(board.blob(model(ballast=64 * MIB)), id="heavy")
    )
    marks = [result["memory"]["marks"] for result in (light, heavy)]
    order = ["interpreter", "runtime", "model", "first_run", "end"]
    for mark in marks:
        assert list(mark) == order
        peaks = [mark[name]["hwm_bytes"] for name in order]
        assert peaks == sorted(peaks)
        assert all(mark[name]["rss_bytes"] <= mark[name]["hwm_bytes"] for name in order)
    assert light["memory"]["resettable"] is True
    grown = marks[1]["model"]["rss_bytes"] - marks[1]["runtime"]["rss_bytes"]
    alone = marks[0]["model"]["rss_bytes"] - marks[0]["runtime"]["rss_bytes"]
    assert grown - alone == pytest.approx(64 * MIB, rel=0.02)
    # Adding the weights to a scalar needs room for the sum as well.
    run = marks[1]["first_run"]["hwm_bytes"] - marks[1]["model"]["rss_bytes"]
    assert run > 60 * MIB
    # Nothing of a big trial sticks to the next: another light one looks like the first.
    (again,) = board.results(trial(board.blob(model())))
    end = light["memory"]["marks"]["end"]["hwm_bytes"]
    assert again["memory"]["marks"]["end"]["hwm_bytes"] == pytest.approx(end, rel=0.03)


def test_a_trace_is_left_beside_the_journal_when_it_is_asked_for(board: Board) -> None:
    session = {"graph_level": "basic", "arena": False, "mem_pattern": False}
    artifact = board.blob(model())
    traced, plain = board.results(
        trial(artifact, id="a", session=session, trace=True, min_duration_s=0.01), trial(artifact, id="b")
    )
    data = (board.runs[0] / traced["trace"]["name"]).read_bytes()
    assert traced["trace"]["size_bytes"] == len(data)
    assert traced["trace"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert any(event.get("args", {}).get("op_name") == "ReduceMean" for event in json.loads(data))
    assert plain["trace"] is None


def test_bad_requests_are_answered_with_one_error(board: Board) -> None:
    plan, run_dir = board.plan(trial(None), protocol=99)
    for request, code in [
        (("start", plan, run_dir), "BAD_PLAN"),
        (("start", board.root / "nowhere", run_dir), "BAD_PLAN"),
        (("follow", board.root / "nowhere", 0), "NO_RUN"),
        (("cancel", board.root / "nowhere"), "NO_RUN"),
        (("dance",), "USAGE"),
        (("follow", run_dir, "x"), "USAGE"),
        ((), "USAGE"),
    ]:
        (answer,) = board.verb(*request)
        assert (answer["kind"], answer["code"]) == ("error", code), answer
    done = board.start(trial(None))
    board.verb("follow", done, 0)
    (answer,) = board.verb("start", done / "plan.json", done)
    assert answer["code"] == "BAD_PLAN" and "holds a run already" in answer["message"]


def test_the_package_answers_like_the_zip(board: Board, agent_zip: Path) -> None:
    root = Path(pack.__file__).parents[2]
    asked = f"null={sys.executable}"
    argv = [sys.executable, "-m", "edgebench.agent", "fingerprint", asked]
    package = json.loads(subprocess.run(argv, capture_output=True, cwd=root, check=True).stdout)
    (zipped,) = board.verb("fingerprint", asked)
    assert package == zipped
    assert package["runtimes"]["null"] == {
        "name": "null", "version": "1", "providers": [], "python": platform.python_version(),
        "numpy": np.__version__, "error": None,
    }  # fmt: skip


def test_a_disk_that_fills_while_measuring_ends_the_run_with_the_reason(
    agent_zip: Path, small_disk: Path
) -> None:
    """What was measured stays whole, and room is left to say why there is no more."""
    board = Board(agent_zip, small_disk / "board")
    run_dir = board.start(*(trial(None, id=f"t{number:04}") for number in range(60)))
    book = run_dir / "journal.jsonl"
    while '"kind":"trial",' not in book.read_text():
        time.sleep(0.02)
    with contextlib.suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as ballast:
        while ballast.write(bytes(4096)):
            pass
    *_, last = messages = board.verb("follow", run_dir, 0)
    assert (last["kind"], last["status"]) == ("end", "failed")
    assert last["message"] == "OSError: [Errno 28] No space left on device"
    assert [message["seq"] for message in messages if "seq" in message] == list(range(last["seq"] + 1))
    done = [message for message in messages if message["kind"] == "trial"]
    assert 0 < len(done) == last["trials_done"] < 60


def test_a_run_for_which_the_disk_has_no_room_is_refused_in_one_line(
    agent_zip: Path, small_disk: Path
) -> None:
    board = Board(agent_zip, small_disk / "board")
    plan, run_dir = board.plan(trial(None))
    with contextlib.suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as ballast:
        while ballast.write(bytes(4096)):
            pass
    (answer,) = board.verb("start", plan, run_dir)
    assert answer["kind"] == "error"
    assert answer["message"] == "the run could not be set up: OSError: [Errno 28] No space left on device"
