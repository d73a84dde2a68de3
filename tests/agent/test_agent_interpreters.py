"""Trials in an interpreter of their own: its runtime is noisy, dies, is not there, or is another release."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from agent_board import Board, model, trial

OTHER_RELEASE = """
import os, sys
here = os.path.dirname(__file__)
sys.path.remove(here); del sys.modules["onnxruntime"]
import onnxruntime
sys.path.insert(0, here)
onnxruntime.__version__ = "0.0.other"
"""
NOISY = """
import ctypes, os, sys
print("noise: import", flush=True); os.write(1, b'{"kind":"trial","forged":true}\\n')
here = os.path.dirname(__file__)
sys.path.remove(here); del sys.modules["onnxruntime"]
import onnxruntime
sys.path.insert(0, here)
libc = ctypes.CDLL(None)
class Noisy(onnxruntime.InferenceSession):
    def run(self, *arguments):
        print("noise: run", flush=True); os.write(1, b"noise: descriptor\\n")
        libc.puts(b"noise: C"); libc.fflush(None)
        return super().run(*arguments)
onnxruntime.InferenceSession = Noisy
"""


def test_noise_never_reaches_the_wire(board: Board, environment: Callable[[str], str]) -> None:
    board.python = environment(NOISY)
    (result,) = board.results(trial(board.blob(model()), min_duration_s=0.01))
    assert result["error"] is None and "forged" not in result
    log = (board.runs[0] / "supervisor.log").read_text()
    assert all(f"noise: {where}" in log for where in ("import", "run", "descriptor", "C"))


def test_a_sitecustomize_that_prints(board: Board, environment: Callable[[str], str]) -> None:
    """It runs before the agent can keep its output apart."""
    python = environment("")
    site = next((Path(python).parents[1] / "lib").glob("python*/site-packages"))
    (site / "sitecustomize.py").write_text(
        "import os\nprint('welcome')\nos.write(1, b'to this machine\\n')\nprint('half a line', end='')\n"
    )
    (result,) = board.results(trial(None, python=python, min_duration_s=0.01))
    assert result["status"] == "ok"
    argv = [python, "-I", str(board.agent), "fingerprint"]
    *noise, answer = subprocess.run(argv, capture_output=True, check=True).stdout.splitlines()
    # Only what went past Python's own buffer is on the wire, in lines before the answer.
    assert noise == [b"to this machine"]
    assert json.loads(answer)["kind"] == "fingerprint"


def test_a_runtime_that_dies_on_this_processor(board: Board, environment: Callable[[str], str]) -> None:
    board.python = environment("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    (fingerprint,) = board.verb("fingerprint", f"onnxruntime={board.python}")
    error = fingerprint["runtimes"]["onnxruntime"]["error"]
    assert (error["code"], error["signal"]) == ("RUNTIME_IMPORT", 4)
    dead, null = board.results(trial(board.blob(model()), id="a"), trial(None, id="b"))
    assert (dead["error"]["code"], dead["error"]["signal"]) == ("RUNTIME_IMPORT", 4)
    assert null["status"] == "ok"


def test_a_runtime_that_is_not_installed(board: Board, environment: Callable[[str], str]) -> None:
    board.python = environment("raise ImportError('no such wheel')")
    (fingerprint,) = board.verb("fingerprint", f"onnxruntime={board.python}")
    found = fingerprint["runtimes"]["onnxruntime"]
    assert found["version"] is None and found["numpy"] == np.__version__
    assert "no such wheel" in found["error"]["message"]
    (result,) = board.results(trial(board.blob(model())))
    assert (result["error"]["code"], result["error"]["signal"]) == ("RUNTIME_IMPORT", None)


def test_each_trial_runs_in_its_own_interpreter(board: Board, environment: Callable[[str], str]) -> None:
    """Two releases of one runtime that could not live together, one trial each, in one run."""
    other = environment(OTHER_RELEASE)
    artifact = board.blob(model())
    ours, theirs, gone = board.results(
        trial(artifact, id="ours"),
        trial(artifact, id="theirs", python=other),
        trial(artifact, id="gone", python=str(board.root / "no" / "python")),
    )
    assert ours["runtime"]["version"] == onnxruntime.__version__
    assert theirs["runtime"]["version"] == "0.0.other" and theirs["status"] == "ok"
    assert gone["error"]["code"] == "RUNTIME_IMPORT" and "no/python" in gone["error"]["message"]
