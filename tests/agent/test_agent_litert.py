"""LiteRT in a trial: the right signature, every shape of a waveform, and files that it cannot run."""

from __future__ import annotations

import pytest
from agent_board import Board, Message, trial
from support.runtimes import runtime_python
from support.tflite_files import expected, tflite, tiny_tflite

from edgebench.agent import waveform

SEED = 7


def of(board: Board, data: bytes, name: str, *, input_s: float = 0.1, runtime: str = "litert") -> Message:
    python = runtime_python(runtime)
    return trial(board.blob(data), id=name, runtime=runtime, python=python, input_s=input_s, seed=SEED)


def logits(input_s: float) -> list[float]:
    """The equation of the tiny net."""
    return list(expected(waveform.generate(round(16000 * input_s), seed=SEED)).ravel())


@pytest.mark.parametrize("runtime", ["litert", "tflite_runtime"])
def test_the_answers_are_those_of_the_equation(board: Board, runtime: str) -> None:
    several = tiny_tflite([1600, 3200])
    results = board.results(
        of(board, several, "first", runtime=runtime),
        of(board, several, "second", input_s=0.2, runtime=runtime),
        of(board, tiny_tflite([1600], signatures=False), "unsigned", runtime=runtime),
        of(board, tiny_tflite([1600], channel_last=True), "channel last", runtime=runtime),
    )
    for result, input_s in zip(results, (0.1, 0.2, 0.1, 0.1), strict=True):
        assert result["error"] is None
        assert result["runtime"]["name"] == runtime
        assert result["output"]["values"] == [pytest.approx(logits(input_s), abs=1e-4)]
        assert len(result["samples_ns"]) >= 16 and result["trace"] is None
    names = [result["output"]["names"] for result in results]
    assert names == [["emotion_logits"], ["emotion_logits"], ["out"], ["emotion_logits"]]


def test_what_it_cannot_run_says_why_and_the_next_trial_goes_on(board: Board) -> None:
    whole = tiny_tflite([1600])
    *failed, good = board.results(
        of(board, tiny_tflite([1600, 3200]), "another length", input_s=0.3),
        of(board, tiny_tflite([1600], extra_input=True), "two inputs"),
        of(board, tiny_tflite([1600], input_type=tflite.TensorType.INT16), "int16"),
        of(board, whole[: len(whole) // 2], "truncated"),
        of(board, tiny_tflite([1600], custom="Custom"), "custom operator"),
        of(board, whole, "good"),
    )
    assert good["error"] is None
    errors = {result["id"]: result["error"] for result in failed}
    assert {name: error["code"] for name, error in errors.items()} == {
        "another length": "MODEL_LOAD",
        "two inputs": "MODEL_LOAD",
        "int16": "MODEL_LOAD",
        "truncated": "MODEL_LOAD",
        "custom operator": "RUN_FAILED",  # LiteRT looks for an operator when it is to run
    }
    assert "4800 samples" in errors["another length"]["message"]
    assert "takes 2 inputs" in errors["two inputs"]["message"]
    assert "int16" in errors["int16"]["message"]
    assert "Custom" in errors["custom operator"]["message"]
    assert not any("Traceback" in error["message"] for error in errors.values())
