"""A distillation small enough for a test: a teacher of three convolutions, short excerpts, few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgebench.corpora import Clip, synthetic_corpus
from edgebench.training.distillation.data import DistillationData
from edgebench.training.distillation.distiller import Distiller
from edgebench.training.distillation.recipe import DistillationRecipe
from edgebench.training.methods import load_recipe
from edgebench.training.teachers.teacher import load_teacher

TINY = (
    "data.length_s=[0.2, 0.4]",
    "data.cache_mb=50",
    "optimiser.batch=4",
    "optimiser.steps=6",
    "validation.every_steps=2",
    "quantization.clips_per_class=1",
)
ADV_NAME = "arousal_dominance_valence"
KERNEL, STRIDE = 64, 32


def kernels(width: int = 3) -> np.ndarray:
    return np.random.default_rng(4).standard_normal((width, 1, KERNEL)).astype("f4") * 2.0


def plain_teacher(waveform: np.ndarray, width: int = 3) -> np.ndarray:
    """What :func:`tiny_teacher` computes, in a loop: sigmoid of the mean magnitude less a half."""
    rows = [waveform[start : start + KERNEL] for start in range(0, len(waveform) - KERNEL + 1, STRIDE)]
    responses = np.abs(np.stack(rows) @ kernels(width)[:, 0].T).mean(0) - 0.5
    return 1.0 / (1.0 + np.exp(-4.0 * responses))


def tiny_teacher(
    path: Path,
    *,
    name: str = ADV_NAME,
    width: int = 3,
    shape: tuple[int | str, ...] = ("batch", "samples"),
    gain: float = 4.0,
    emotions: bool = False,
) -> Path:
    """Write a teacher that answers ``plain_teacher``; ``emotions`` adds four logits."""
    kind = onnx.TensorProto.FLOAT
    weights = [
        numpy_helper.from_array(kernels(width), "kernel"),
        numpy_helper.from_array(np.array([2], dtype="i8"), "time"),
        numpy_helper.from_array(np.array(0.5, dtype="f4"), "half"),
        numpy_helper.from_array(np.array(gain, dtype="f4"), "gain"),
    ]
    if len(shape) == 2:
        weights.append(numpy_helper.from_array(np.array([1], dtype="i8"), "axis"))
        first = helper.make_node("Unsqueeze", ["waveform", "axis"], ["channel"])
    elif len(shape) == 1:
        weights.append(numpy_helper.from_array(np.array([0, 1], dtype="i8"), "axis"))
        first = helper.make_node("Unsqueeze", ["waveform", "axis"], ["channel"])
    else:
        first = helper.make_node("Identity", ["waveform"], ["channel"])
    nodes = [
        first,
        helper.make_node("Conv", ["channel", "kernel"], ["frames"], strides=[STRIDE]),
        helper.make_node("Abs", ["frames"], ["magnitude"]),
        helper.make_node("ReduceMean", ["magnitude"], ["mean"], axes=[2], keepdims=0),
        helper.make_node("Sub", ["mean", "half"], ["centred"]),
        helper.make_node("Mul", ["centred", "gain"], ["scaled"]),
        helper.make_node("Sigmoid", ["scaled"], [name]),
    ]
    outputs = [helper.make_tensor_value_info(name, kind, ["batch", width])]
    if emotions:
        head = np.random.default_rng(5).standard_normal((width, 4)).astype("f4") * 3
        weights.append(numpy_helper.from_array(head, "head"))
        nodes.append(helper.make_node("MatMul", ["scaled", "head"], ["emotion_logits"]))
        outputs.append(helper.make_tensor_value_info("emotion_logits", kind, ["batch", 4]))
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("waveform", kind, list(shape))],
        outputs,
        [tensor for tensor in weights if tensor.name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def tiny_recipe(*overrides: str) -> DistillationRecipe:
    recipe = load_recipe("wav2small_distill", overrides=[*TINY, *overrides])
    assert isinstance(recipe, DistillationRecipe)
    return recipe


def few_clips(part: str = "train", every: int = 10) -> list[Clip]:
    return synthetic_corpus(split=part)[::every]


def tiny_distiller(teacher: Path | str, output: Path, *overrides: str, validate=None) -> Distiller:
    """``validate`` defaults to a score that rises with the step, so that a best model exists."""
    recipe = tiny_recipe(f"teacher={teacher}", *overrides)
    emotions = recipe.loss.emotion_weight > 0
    loaded = load_teacher(recipe.teacher, threads=1, emotions=emotions)
    scores = iter(range(1000))
    return Distiller(
        recipe,
        DistillationData(few_clips(), recipe, loaded),
        validate or (lambda model: {"score": float(next(scores))}),
        output,
    )
