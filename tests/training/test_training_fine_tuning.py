"""Fine-tuning from a checkpoint: where it starts, how fast which layer learns, and that it resumes."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
from tiny_run import TINY, few_clips, tiny_recipe, tiny_trainer  # noqa: E402

from edgebench.corpora import Split, write_split  # noqa: E402
from edgebench.errors import ConfigError, ModelError  # noqa: E402
from edgebench.models import load_artifact  # noqa: E402
from edgebench.models.architectures import build_architecture  # noqa: E402
from edgebench.models.architectures.mobilenetv3_audioset import AudioSetClassifier  # noqa: E402
from edgebench.training import train  # noqa: E402
from edgebench.training.loop.checkpoint import CHECKPOINT  # noqa: E402
from edgebench.training.loop.optimiser import optimiser_of  # noqa: E402
from edgebench.training.methods import load_recipe  # noqa: E402
from edgebench.training.run import command_line  # noqa: E402
from edgebench.training.supervised.augment import gain  # noqa: E402
from edgebench.training.supervised.data import TrainingData  # noqa: E402
from edgebench.training.supervised.trainer import Trainer  # noqa: E402

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint of the right architecture, at random."""
    torch.manual_seed(11)
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    torch.save(AudioSetClassifier().state_dict(), path)
    return path


def teacher(output, *overrides: str) -> Trainer:
    recipe = load_recipe("teacher_mobilenetv3", overrides=[*TINY, *overrides])
    scores = iter(range(1000))
    return Trainer(
        recipe, TrainingData(few_clips(), recipe), lambda model: {"score": float(next(scores))}, output
    )


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_starts_from_the_checkpoint_and_from_random_heads(tmp_path, weights):
    trunk = torch.load(weights, weights_only=True)
    started = teacher(tmp_path, f"model.weights={weights}").model.state_dict()
    names = [name for name in trunk if name.startswith("features.")]
    assert len(names) == 308
    assert all(torch.equal(started[name.replace("features.", "trunk.", 1)], trunk[name]) for name in names)
    other = teacher(tmp_path, f"model.weights={weights}", "seed=1").model.state_dict()
    assert torch.equal(started["embedding.weight"], other["embedding.weight"])
    assert not torch.equal(started["emotion.weight"], other["emotion.weight"])


def test_a_foreign_checkpoint_stops_the_run_before_it_starts(tmp_path):
    torch.save(build_architecture("light_sernet").state_dict(), tmp_path / "other.pt")
    with pytest.raises(ModelError, match="of another architecture"):
        teacher(tmp_path / "run", f"model.weights={tmp_path / 'other.pt'}")
    with pytest.raises(ModelError, match="of another architecture"):
        tiny_trainer(tmp_path / "run", f"model.weights={tmp_path / 'other.pt'}")
    assert not (tmp_path / "run").exists()


def test_pretrained_layers_learn_at_their_share(tmp_path):
    trainer = teacher(tmp_path, "optimiser.pretrained_ratio=0.1", "optimiser.learning_rate=0.01")
    heads = {id(p) for p in [*trainer.model.adv.parameters(), *trainer.model.emotion.parameters()]}
    trainer.step(1, trainer.data.batch(1))  # the last step of the warm-up: the peak of the rate
    seen = []
    for group in trainer.optimiser.param_groups:
        expected = 0.01 if id(group["params"][0]) in heads else 0.001
        assert group["lr"] == pytest.approx(expected)
        assert len({id(p) in heads for p in group["params"]}) == 1
        seen += group["params"]
    trained = [p for p in trainer.model.parameters() if p.requires_grad]
    assert len(seen) == len(trained)
    assert {id(p) for p in seen} == {id(p) for p in trained}


@pytest.mark.parametrize("name", ["wav2small", "light_sernet"])
def test_a_share_where_a_checkpoint_fills_every_layer(name):
    with pytest.raises(ConfigError, match=r"pretrained_ratio is 0\.5, and \w+ has no layers beside those"):
        optimiser_of(build_architecture(name), learning_rate=0.1, weight_decay=0.0, pretrained_ratio=0.5)


@pytest.mark.parametrize("stop_after", [1, 3])
def test_resumes_bit_for_bit(tmp_path, weights, stop_after):
    options = (f"model.weights={weights}", "optimiser.steps=4")
    whole = teacher(tmp_path / "whole", *options)
    whole.run()
    teacher(tmp_path / "parts", *options).run(stop_after=stop_after)
    resumed = teacher(tmp_path / "parts", *options)
    assert resumed.resume()
    resumed.run()
    assert same(whole.model.state_dict(), resumed.model.state_dict())
    assert same(whole.average.state_dict(), resumed.average.state_dict())
    assert [g["lr"] for g in whole.optimiser.param_groups] == [
        g["lr"] for g in resumed.optimiser.param_groups
    ]


def test_a_checkpoint_of_before_the_ratio_goes_on(tmp_path):
    whole = tiny_trainer(tmp_path / "whole")
    whole.run()
    tiny_trainer(tmp_path / "parts").run(stop_after=3)
    path = tmp_path / "parts" / CHECKPOINT
    values = torch.load(path, weights_only=True)
    for group in values["optimiser"]["param_groups"]:
        del group["ratio"]
    torch.save(values, path)
    resumed = tiny_trainer(tmp_path / "parts")
    assert resumed.resume()
    resumed.run()
    assert same(whole.model.state_dict(), resumed.model.state_dict())


def test_settings_that_came_later_keep_the_checkpoints_of_before():
    values = json.loads(tiny_recipe().training_json())
    assert set(values["model"]) == {"dropout"}
    assert "gain_db" not in values["augment"]
    assert "pretrained_ratio" not in values["optimiser"]
    changed = json.loads(tiny_recipe("augment.gain_db=3.0", "model.weights=a.pt").training_json())
    assert (changed["augment"]["gain_db"], changed["model"]["weights"]) == (3.0, "a.pt")


def test_gain_is_in_decibels():
    np.testing.assert_allclose(gain(np.array([0.1, -0.5], np.float32), 20.0), [1.0, -5.0], rtol=1e-6)


def test_gain_changes_the_level_and_nothing_else():
    clips = few_clips()
    plain = TrainingData(clips, tiny_recipe()).batch(0)
    louder = TrainingData(clips, tiny_recipe("augment.gain_db=6.0")).batch(0)
    ratio = louder.waveforms[0] / plain.waveforms[0]  # the first row: what later rows draw comes after it
    assert np.ptp(ratio[np.abs(plain.waveforms[0]) > 1e-4]) < 1e-3
    gain_db = 20.0 * np.log10(np.median(ratio))
    assert 0.0 < abs(gain_db) <= 6.0
    assert np.array_equal(louder.emotions[0], plain.emotions[0])


def test_the_command_names_no_place_of_one_machine():
    assert command_line("teacher_mobilenetv3", {}, ["model.weights=/somewhere/a.pt", "seed=2"]) == (
        "edgebench train teacher_mobilenetv3 --set model.weights=PATH --set seed=2 --output DIR"
    )


@pytest.mark.long
def test_a_whole_run_leaves_artifacts_of_which_the_dense_layers_alone_are_int8(tmp_path, weights):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript", reason="export needs onnxscript: pip install edgebench[train]")
    split = Split("tiny", {"synthetic": {"train": ("v03",), "validation": ("v02",), "test": ("v01",)}})
    write_split(split, tmp_path / "split.json")
    paths = (f"data.split={tmp_path / 'split.json'}", f"model.weights={weights}")
    output = tmp_path / "run"
    train("teacher_mobilenetv3", corpora={}, output=output, overrides=(*TINY, "optimiser.steps=2", *paths))
    fp32 = load_artifact(output / "mobilenetv3_audioset.fp32.onnx")
    small = load_artifact(output / "mobilenetv3_audioset.int8_static_dense.onnx")
    assert small.size_bytes < 0.7 * fp32.size_bytes
    assert small.manifest.parent == fp32.sha256
    assert fp32.parameters == sum(p.numel() for p in build_architecture("mobilenetv3_audioset").parameters())
    assert str(weights.parent) not in (output / "mobilenetv3_audioset.md").read_text()

    graph = onnx.load(small.path).graph
    producers = {name: node.op_type for node in graph.node for name in node.output}
    dense = {node.name for node in graph.node if node.op_type == "Gemm"}
    weighted = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    in_bytes = {node.name for node in weighted if producers.get(node.input[1]) == "DequantizeLinear"}
    gates = [f"trunk.{block}.block.2.conc_se_layers.0" for block in (4, 5, 6, 11, 12, 13, 14, 15)]
    assert in_bytes == {"embedding/Gemm", *(f"{gate}.fc{layer}/Gemm" for gate in gates for layer in (1, 2))}
    assert dense - in_bytes == {"adv/Gemm", "emotion/Gemm"}
