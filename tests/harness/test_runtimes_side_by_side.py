"""One net as an ONNX and as a TFLite file, in one run, each in the private environment of its runtime."""

from __future__ import annotations

import hashlib
import json
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.cli import Edgebench
from support.runtimes import runtime_python, share_environments, share_wheels
from support.tflite_files import CLASSES, WIDTH, expected, tiny_tflite

from edgebench.agent import waveform

SUITE = """\
name = "two-runtimes"
scenarios = ["single_stream"]
input_s = [0.5, 1.0]
launches = 2
min_duration_s = 0.1
min_count = 8
null_runtime = false
[repeats]
budget = 0
"""
# pip finds nothing: no index, no folder of wheels, no settings of this machine.
NOTHING_TO_INSTALL = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": ""}


def tiny_onnx(path: Path) -> str:
    """The net of ``tiny_tflite`` with a free time axis."""
    weights = np.random.default_rng(0).standard_normal((CLASSES, WIDTH)).astype(np.float32)
    constants = {"shape": np.array([1, -1, WIDTH]), "weights": weights.T.copy()}
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["waveform", "shape"], ["rows"]),
            helper.make_node("MatMul", ["rows", "weights"], ["products"]),
            helper.make_node("ReduceMean", ["products"], ["emotion_logits"], axes=[1], keepdims=0),
        ],
        "tiny",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info("emotion_logits", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    """The options that name both files."""
    (tmp_path / "two.toml").write_text(SUITE)
    (tmp_path / "lite.tflite").write_bytes(tiny_tflite([8000, 16000]))
    return ["--model", tiny_onnx(tmp_path / "open.onnx"), "--model", str(tmp_path / "lite.tflite")]


def lines_of(edgebench: Edgebench) -> dict[str, list[dict[str, Any]]]:
    """The lines of the last run by their kind."""
    lines = [json.loads(line) for line in (edgebench.store / "records.jsonl").read_text().splitlines()]
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if line["run_id"] == lines[-1]["run_id"]:
            found.setdefault(line["kind"], []).append(line)
    return found


def check_side_by_side(edgebench: Edgebench) -> None:
    """Neighbours in every round, in their own runtimes, with the outputs that the equation gives."""
    found = lines_of(edgebench)
    (header,) = found["run"]
    runtimes = header["device"]["fingerprint"]["runtimes"]
    assert runtimes["onnxruntime"]["error"] is None and runtimes["litert"]["error"] is None
    assert header["device"]["environments"]["litert"]["ai_edge_litert"] == runtimes["litert"]["version"]
    measured = [line for line in found["trial"] if line["condition"]["runtime"] != "null"]
    assert len(measured) == 2 * 2 * 2
    for _, group in groupby(measured, key=lambda line: (line["round"], line["condition"]["input_s"])):
        assert sorted(line["condition"]["runtime"] for line in group) == ["litert", "onnxruntime"]
    seed = header["seed"]
    for line in measured:
        trial, input_s = line["trial"], line["condition"]["input_s"]
        assert trial["error"] is None and trial["runtime"]["name"] == line["condition"]["runtime"]
        logits = expected(waveform.generate(round(input_s * 16000), seed=seed))
        assert trial["output"]["values"] == [pytest.approx(logits.ravel().tolist(), abs=1e-4)]


def check_traces(edgebench: Edgebench) -> None:
    """A trace a length from onnxruntime, brought whole into the store; litert has none."""
    traces = lines_of(edgebench)["trace"]
    assert [trace["condition"]["runtime"] for trace in traces] == ["onnxruntime"] * 2
    for trace in traces:
        data = (edgebench.store / trace["file"]["path"]).read_bytes()
        assert (
            hashlib.sha256(data).hexdigest() == trace["file"]["sha256"] == trace["trial"]["trace"]["sha256"]
        )
        names = {event.get("args", {}).get("op_name") for event in json.loads(data)}
        assert {"MatMul", "ReduceMean"} <= names


@pytest.mark.board
def test_here(edgebench: Edgebench, models: list[str], tmp_path: Path) -> None:
    runtime_python("litert")
    share_environments(tmp_path / "cache")
    result = edgebench("run", "--suite", "two.toml", *models, "--trace", "--json")
    assert result.returncode == 0, result.stderr
    assert "no trace from litert" in result.stderr
    check_side_by_side(edgebench)
    check_traces(edgebench)
    rows = json.loads(result.stdout)["records"]
    parities = {
        row["artifact"]: row["metrics"]["parity_max_abs"]["value"] for row in rows if row["runtime"] != "null"
    }
    assert parities == {"open": 0.0, "lite": 0.0}


@pytest.mark.ssh
@pytest.mark.board
def test_on_a_board_without_network(
    make_ssh_server: Any, edgebench: Edgebench, models: list[str], tmp_path: Path
) -> None:
    """Two private environments from wheels that the host sends; nothing is sent twice."""
    runtime_python("litert")
    share_environments(tmp_path / "cache")
    share_wheels(tmp_path / "cache")
    server = make_ssh_server(environment={"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"})
    edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(server.config_path)}
    run = [
        "run",
        "--device",
        "rpi4",
        "--force",
        "--offline",
        "--suite",
        "two.toml",
        *models,
        "--trace",
        "--json",
    ]
    for already in (False, True):
        result = edgebench(*run)
        assert result.returncode == 0, result.stderr
        check_side_by_side(edgebench)
        check_traces(edgebench)
        environments = [path for path in (server.root / "envs").iterdir() if path.is_dir()]
        assert len(environments) == 2
        sent = lines_of(edgebench)["run"][0]["deployment"]["bytes_sent"]
        assert (sent == 0) == already
    assert not list((server.root / "runs").iterdir())


@pytest.mark.board
def test_a_runtime_that_cannot_be_installed_leaves_the_rest(edgebench: Edgebench, models: list[str]) -> None:
    edgebench.environment = NOTHING_TO_INSTALL
    result = edgebench("run", "--suite", "two.toml", *models, "--json")
    assert result.returncode == 0, result.stderr
    assert "litert is left out on local" in result.stderr and "no parity for lite" in result.stderr
    rows = {(row["artifact"], row["input_s"]): row for row in json.loads(result.stdout)["records"]}
    for input_s in (0.5, 1.0):
        missing = rows["lite", input_s]["verdict"]
        assert missing["status"] == "UNSUPPORTED"
        assert missing["codes"] == ["RUNTIME_INSTALL"]
        assert "ai-edge-litert==" in missing["evidence"][0]["evidence"]
        assert rows["open", input_s]["metrics"]["latency_p50_ns"]["value"] > 0
        assert rows["open", input_s]["verdict"]["status"] in ("VALID", "INVALID")
    assert lines_of(edgebench)["run_end"][0]["status"] == "complete"


def test_a_runtime_that_cannot_be_installed_ends_a_run_of_nothing_else(
    edgebench: Edgebench, models: list[str]
) -> None:
    edgebench.environment = NOTHING_TO_INSTALL
    edgebench.refuses("run", "--suite", "two.toml", *models[2:], status=5, says=["ai-edge-litert=="])
    assert not (edgebench.store / "records.jsonl").exists()


def test_a_runtime_that_nothing_is_for(edgebench: Edgebench, models: list[str]) -> None:
    edgebench.refuses(
        "run", *models[:2], "--runtime", "litert", status=2, says=["'litert'", "tflite", "Leave it out"]
    )
    edgebench.refuses("run", *models, "--runtime", "lighter", status=2, says=["did you mean 'litert'"])
