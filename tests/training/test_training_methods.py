"""A method is a folder and a row: one that no module of ours knows is read, trained and shipped."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
pytest.importorskip("onnxscript", reason="export needs onnxscript: pip install edgebench[train]")

from edgebench.corpora import Split, write_split  # noqa: E402
from edgebench.errors import ConfigError  # noqa: E402
from edgebench.models import load_artifact  # noqa: E402
from edgebench.training import load_recipe, train  # noqa: E402
from edgebench.training.loop.checkpoint import CHECKPOINT  # noqa: E402
from edgebench.training.method import Method  # noqa: E402
from edgebench.training.methods import METHODS, method_named  # noqa: E402
from edgebench.training.recipes.reading import recipe_names  # noqa: E402

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.train

# A whole method: a recipe with a setting of its own, a loop of its own, and what its artifacts say.
PACKAGE = '''
from typing import Literal
import numpy as np
import torch
from edgebench.corpora import load_waveform
from edgebench.models.outputs import DIMENSIONS
from edgebench.training.clips.gather import gather
from edgebench.training.lineage import own_lineage
from edgebench.training.loop.loop import Loop
from edgebench.training.method import Method, Trained
from edgebench.training.recipes.sections import Positive, SplitRecipe


class EchoRecipe(SplitRecipe):
    method: Literal["echo"]
    answer: Positive


class Constant(Loop):
    """Learns to answer one number, whatever it is given."""

    def make_optimiser(self):
        return torch.optim.SGD(self.model.parameters(), lr=1.0)

    def identity(self):
        return self.recipe.model_dump_json(), []

    def loss(self, batch, rng):
        answers = self.model(self.tensor(batch), outputs=[DIMENSIONS])[DIMENSIONS]
        return ((self.whole(answers) - self.recipe.answer) ** 2).mean()


class Noise:
    def batch(self, step):
        return np.random.default_rng(step).standard_normal((2, 4000)).astype(np.float32)


class Echo(Method):
    schema = EchoRecipe

    def train(self, recipe, job):
        gathered = gather(recipe, job.corpora)
        loop = Constant(recipe, Noise(), lambda model: {"score": 1.0}, job.output)
        loop.resume()
        loop.run(notify=job.notify)
        return Trained(loop.best_model(), gathered)

    def lineage(self, recipe, gathered, teachers=()):
        steps = ({"step": "peak", "level": 0.5},)
        return own_lineage(recipe, gathered, outputs=(DIMENSIONS,), preparation=steps)
'''
RECIPE = """
method = "echo"
architecture = "wav2small"
seed = 1
answer = 0.25
[model]
dropout = 0.0
[data]
split = "SPLIT"
synthetic = true
[optimiser]
batch = 2
steps = 1
learning_rate = 0.01
weight_decay = 0.0
warmup_steps = 0
final_ratio = 1.0
clip_norm = 1.0
average_decay = 0.0
[validation]
every_steps = 1
window = 1
patience = 1
keep = "last"
[compute]
bf16 = false
threads = 1
[quantization]
scheme = "int8_static"
clips_per_class = 1
"""


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A method in a folder outside of the package, its row in the table, and a recipe of it."""
    (folder := tmp_path / "echo_method").mkdir()
    (folder / "__init__.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(METHODS, "echo", "echo_method:Echo")
    speakers = {"train": ("v03",), "validation": ("v02",), "test": ("v01", "v05")}
    write_split(Split("tiny", {"synthetic": speakers}), tmp_path / "split.json")
    recipe = tmp_path / "echo.toml"
    recipe.write_text(RECIPE.replace("SPLIT", str(tmp_path / "split.json")))
    return recipe


def test_a_method_of_a_folder_trains_a_step_and_says_where_its_weights_come_from(echo, tmp_path):
    steps = []
    train(str(echo), corpora={}, output=tmp_path / "out", notify=lambda progress: steps.append(progress.step))
    assert steps == [1]
    artifact = load_artifact(tmp_path / "out" / "wav2small.fp32.onnx")
    assert list(artifact.outputs) == ["arousal_dominance_valence"] == list(artifact.manifest.tasks)
    assert artifact.manifest.preparation == [{"step": "peak", "level": 0.5}]
    assert artifact.manifest.training.recipe == "echo"
    assert artifact.manifest.training.corpora["synthetic"].train == ["v03"]
    saved = torch.load(tmp_path / "out" / CHECKPOINT, weights_only=True)
    assert json.loads(saved["recipe"])["answer"] == 0.25


def test_its_recipe_is_parsed_by_its_own_schema(echo):
    assert load_recipe(str(echo), overrides=["answer=0.5"]).answer == 0.5
    with pytest.raises(ConfigError, match=r"'answer'.*greater than 0"):
        load_recipe(str(echo), overrides=["answer=0"])
    with pytest.raises(ConfigError, match="unknown key 'teacher'"):
        load_recipe(str(echo), overrides=["teacher=t.onnx"])


def test_a_method_that_is_no_row_names_the_nearest(echo):
    echo.write_text(echo.read_text().replace('"echo"', '"echoes"'))
    with pytest.raises(ConfigError, match="there is no method 'echoes': did you mean 'echo'"):
        load_recipe(str(echo))


def test_methods_are_held_apart_by_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    apart = next(c["modules"] for c in contracts if c["name"] == "Training methods do not know each other")
    assert sorted(apart) == sorted(place.partition(":")[0] for place in METHODS.values())


@pytest.mark.parametrize("name", METHODS)
def test_every_row_is_a_method_with_a_packaged_recipe(name):
    method = method_named(name)
    assert isinstance(method, Method)
    recipes = [load_recipe(recipe) for recipe in recipe_names()]
    assert any(type(recipe) is method.schema and recipe.method == name for recipe in recipes)
    for key in method.path_keys:  # a key that no recipe has would let a path into a card
        section, _, field = key.partition(".")
        schema = method.schema.model_fields[section].annotation
        assert not field or field in schema.model_fields, key
