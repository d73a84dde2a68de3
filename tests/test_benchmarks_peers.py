"""Other engines: what is asked for, and what the launches say of a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmarks are no part of what is installed

from benchmarks.peers import HEAD, SAMPLES, Found, How, Peer, cells, difference, launch, ratio
from edgebench.models import load_artifact


def _found(times: dict[int, float], *answers: list[float], program: bool = False) -> Found:
    output = [np.array(one, np.float32) for one in answers]
    return Found("1.0", {} if program else times, {n: 2 * t for n, t in times.items()}, output)


def test_a_peer_is_named_by_its_engine_and_file() -> None:
    peer = Peer.of("openvino:a/b.onnx", {"openvino": "/env/bin/python"})
    assert peer == Peer("openvino", Path("a/b.onnx"), "/env/bin/python")
    assert Peer.of("litert:b.tflite", {}).python == sys.executable
    with pytest.raises(ValueError, match="say ENGINE:FILE"):
        Peer.of("b.tflite", {})


def test_a_ratio_is_of_launches_of_one_round() -> None:
    base = _found({0: 10.0, 1: 20.0, 2: 40.0})
    other = _found({1: 10.0, 2: 20.0, 3: 1000.0})  # half of its neighbours; round 3 has no neighbour
    spread, clock = ratio(base, other)
    assert spread is not None and (spread.median, spread.n, clock) == (0.5, 2, "CPU")


def test_a_program_that_tells_wall_time_alone_is_held_to_wall_time() -> None:
    spread, clock = ratio(_found({0: 10.0}), _found({0: 30.0}, program=True))
    assert spread is not None and (spread.median, clock) == (3.0, "wall")


def test_answers_are_matched_whatever_their_order() -> None:
    base = _found({0: 1.0}, [1.0, 2.0, 3.0], [4.0])
    assert difference(base, _found({0: 1.0}, [4.5], [1.0, 2.0, 3.25])) == 0.5
    assert difference(base, _found({0: 1.0}, [1.0, 2.0])) is None
    assert difference(base, _found({0: 1.0})) is None


@pytest.mark.parametrize(("answer", "said"), [(1.05, "as the first"), (1.2, "OUTPUT_MISMATCH")])
def test_a_wrong_answer_stands_in_its_row(tmp_path: Path, answer: float, said: str) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(bytes(1234))
    row = cells(Peer("openvino", file, ""), _found({0: 5e6}, [answer]), _found({0: 10e6}, [1.0]), allowed=0.1)
    assert len(row) == len(HEAD)
    assert row[:4] == ("`a.onnx`", "openvino 1.0", "1,234", "0.500") and row[-1] == said


def test_a_launch_of_a_real_file_and_of_an_engine_that_is_not_there(tmp_path: Path) -> None:
    clip = tmp_path / "clip.npy"
    np.save(clip, np.zeros(SAMPLES // 10, np.float32))
    how = How(clip, seconds=0.01, core=min(os.sched_getaffinity(0)))
    file = load_artifact("wav2small.fp32").path
    found = Found()
    launch(Peer("onnxruntime", file, sys.executable), how, found, 7)
    assert found.reason is None and list(found.cpu_ns) == [7] and found.cpu_ns[7] > 0
    assert sorted(len(one) for one in found.output) == [3, 4]
    missing = Found()
    launch(Peer("no_engine", file, sys.executable), how, missing, 0)
    assert missing.reason == "KeyError: 'no_engine'" and not missing.cpu_ns
