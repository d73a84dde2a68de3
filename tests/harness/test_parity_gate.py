"""Wrong answers that raise no error: found on the board, named in the verdict, kept off every front.

Two faults are planted. One file answers NaN. Another holds the parent's graph, and the runtime that measures
it answers otherwise: the agent that is sent has a fault in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.cli import Edgebench
from support.runtimes import runtime_python, share_environments

from edgebench.devices.install import agent_zip
from edgebench.models import load_artifact
from edgebench.models.making.save import save_model
from edgebench.models.manifest import Parity
from edgebench.results import Store, summarise
from edgebench.results.changes import NOT_JUDGED
from edgebench.results.pareto import plane

pytestmark = pytest.mark.board

SUITE = """\
name = "gate"
scenarios = ["single_stream", "offline"]
input_s = [1.0]
launches = 1
min_duration_s = 0.05
min_count = 4
corpora = ["synthetic"]
null_runtime = false
[repeats]
budget = 0
"""
PARENT = load_artifact("wav2small.fp32")
WRONG = ("wav2small.nan", "wav2small.moved")
LOADED = 'self._ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])'
CLASS = """

class _Faulty:
    def __init__(self, session, path):
        with open(path, "rb") as file:
            self._wrong = b"planted" in file.read()
        self._session = session

    def __getattr__(self, name):
        return getattr(self._session, name)

    def run(self, names, feeds):
        found = self._session.run(names, feeds)
        return [one + 1.0 for one in found] if self._wrong else found
"""


def with_a_fault(data: bytes) -> bytes:
    """The agent's onnxruntime module, which moves the answers of files that hold the word `planted`."""
    source = data.decode()
    assert source.count(LOADED) == 1
    return (source.replace(LOADED, f"_Faulty({LOADED}, path)") + CLASS).encode()


def child(folder: Path, name: str, *, nan: bool) -> str:
    """A file with the parent's answers and a manifest as a quantized file has one."""
    model = onnx.load(PARENT.path)
    for node in model.graph.node:
        node.name = ""
    model.graph.doc_string = "planted"
    if nan:
        node = next(node for node in model.graph.node if "emotion_logits" in node.output)
        at = list(node.output).index("emotion_logits")
        node.output[at] = "finite"
        model.graph.initializer.append(numpy_helper.from_array(np.float32(np.nan), "nan"))
        model.graph.node.append(helper.make_node("Mul", ["finite", "nan"], ["emotion_logits"]))
        model.graph.doc_string = ""
    update: dict[str, Any] = {
        "key": f"wav2small.{name}",
        "parent": PARENT.sha256,
        "scheme": {"name": name},
        "parity": Parity(reference=PARENT.sha256, max_abs=0.05),
        "sha256": None,
        "size_bytes": None,
    }
    assert PARENT.manifest is not None
    return str(save_model(model.SerializeToString(), PARENT.manifest.model_copy(update=update), folder).path)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Edgebench, dict[str, Any]]:
    """The parent and two wrong files of it in one run, and the JSON of that run."""
    runtime_python("onnxruntime")
    edgebench = Edgebench.in_folder(tmp_path_factory.mktemp("gate"))
    share_environments(edgebench.folder / "cache")
    (edgebench.folder / "gate.toml").write_text(SUITE)
    paths = [child(edgebench.folder, name, nan=name == "nan") for name in ("nan", "moved")]
    true = agent_zip._modules
    module = "edgebench/agent/runtimes/onnxruntime.py"

    def planted(folder: Any, name: str) -> dict[str, bytes]:
        members = true(folder, name)
        return {**members, module: with_a_fault(members[module])} if name == "edgebench/agent" else members

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agent_zip, "_modules", planted)
        models = [word for one in (str(PARENT.path), *paths) for word in ("--model", one)]
        result = edgebench.here("run", "--suite", "gate.toml", *models, "--json")
    assert result.returncode == 0, result.stderr  # the run is done: what it found is in its verdicts
    return edgebench, json.loads(result.stdout)


def test_both_faults_end_in_a_verdict_in_every_scenario(measured):
    _, run = measured
    found = {(row["artifact"], row["scenario"]): row["verdict"] for row in run["records"]}
    for name in WRONG:
        for scenario in ("single_stream", "offline"):
            verdict = found[name, scenario]
            assert verdict["status"] == "INVALID" and "OUTPUT_MISMATCH" in verdict["codes"], verdict
    for scenario in ("single_stream", "offline"):
        assert "OUTPUT_MISMATCH" not in found[PARENT.key, scenario]["codes"]
    told = {item["code"]: item for item in found["wav2small.moved", "single_stream"]["evidence"]}
    assert "differ from the host's fp32 by up to 1" in told["OUTPUT_MISMATCH"]["evidence"]
    told = {item["code"]: item for item in found["wav2small.nan", "single_stream"]["evidence"]}
    assert "not finite" in told["OUTPUT_MISMATCH"]["evidence"]


def test_neither_stands_on_a_front_nor_pushes_another_off(measured):
    """Both are smaller than the parent, and the moved logits name the same emotions: but for the verdict
    that file would stand on the front in its parent's place."""
    edgebench, _ = measured
    summary = summarise(Store(edgebench.store).run("last"))
    found = plane(summary, cost="size_bytes", accuracy="ua", corpus="synthetic", input_s=1.0)
    points = {point.artifact: point for point in found}
    parent, moved = points[PARENT.key], points["wav2small.moved"]
    assert moved.cost.value < parent.cost.value and moved.accuracy.value == parent.accuracy.value
    assert parent.on_front and not moved.on_front and moved.problems == ("OUTPUT_MISMATCH",)
    assert "wav2small.nan" not in points or not points["wav2small.nan"].on_front


def test_a_comparison_judges_nothing_of_them_and_says_why(measured):
    edgebench, _ = measured
    found = json.loads(edgebench.here("compare", "last", "--json").stdout)
    rows = [row for row in found["records"] if row["artifact"] in WRONG]
    assert {row["scenario"] for row in rows} == {"single_stream", "offline"}
    of_the_file = {"size_bytes", "parameters", "macs"}  # true whatever it answers
    for row in rows:
        judged = {name for name, change in row["changes"].items() if change["outcome"] != NOT_JUDGED}
        assert judged <= of_the_file, row
        cost = row["changes"].get("latency_p50_ns")
        assert cost is None or "OUTPUT_MISMATCH" in cost["verdict"]["codes"]
