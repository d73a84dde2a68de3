"""What a finished run leaves: the fp32 artifact, the quantized one, their manifests and the card.

Training speakers calibrate the quantizer, validation speakers set its tolerance, and test speakers
are met here for the first time, to be reported and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.agent.waveform import prepare
from edgebench.corpora import ADV, EMOTIONS, SAMPLE_RATE_HZ, Clip, load_waveform, write_split
from edgebench.models.artifact import Artifact
from edgebench.models.graph.macs import count_macs
from edgebench.models.graph.parity import largest_difference
from edgebench.models.making.card import CardFacts, CorpusCounts, Row, render_card
from edgebench.models.making.export import (
    IR_VERSION,
    OPSET,
    OUTPUT_NAMES,
    drop_output,
    export_onnx,
    save_artifact,
)
from edgebench.models.manifest import Calibration, Macs, Manifest, Parity, Task
from edgebench.models.quantization import quantize, scheme_named
from edgebench.training import baseline
from edgebench.training.baseline import predict_baseline
from edgebench.training.evaluate import FIGURES, by_corpus, evaluate, evaluate_loss, predict_corpora
from edgebench.training.gather import (
    SPLIT,
    Gathered,
    calibration_clips,
    ids_sha256,
    training_facts,
    weights_licence,
)
from edgebench.training.recipe import Recipe, ValidationSection

if TYPE_CHECKING:
    import onnx
    from torch import nn

    from edgebench.models.manifest import Training
    from edgebench.training.categorical_recipe import CategoricalRecipe
    from edgebench.training.distil_recipe import DistilRecipe

MACS_INPUT_S = 5.0
# What is done to every clip before the net sees it: a clip shorter than a tenth of a second leaves
# nothing to pool over, and beyond half a minute memory grows without a gain.
PREPARATION: list[dict[str, Any]] = [{"step": "pad", "min_s": 0.1}, {"step": "crop", "max_s": 30.0}]
# Other processors round the 8-bit products otherwise; a file that is wrong is wrong by far more.
PARITY_MARGIN = 2.0
NOISE_LENGTHS_S = (1.0, 2.0, 5.0, 10.0)  # the suite's generated inputs are noise: a tolerance covers them


@dataclass(frozen=True)
class Origin:
    """Where weights come from when not from labels alone.

    ``licences`` bind them beside those of the clips. Without ``emotions``, or without ``dimensions``, that
    head was never trained, and its output is left out of the artifacts. ``preparation`` is what was done
    to every clip before the net met it.
    """

    training: Training
    licences: tuple[str, ...] = ()
    emotions: bool = True
    dimensions: bool = True
    preparation: Sequence[dict[str, Any]] = tuple(PREPARATION)


def produce(
    model: nn.Module,
    recipe: Recipe | DistilRecipe | CategoricalRecipe,
    gathered: Gathered,
    output: Path,
    *,
    command: str,
    origin: Origin | None = None,
) -> tuple[Artifact, Artifact]:
    """Export, quantize, check, score and describe ``model``; returns the fp32 and the quantized artifact.

    ``split.json`` holds the split whose hash the manifests name.
    """
    output.mkdir(parents=True, exist_ok=True)
    write_split(gathered.split, output / SPLIT)
    known = _Common(model, recipe, gathered, origin)
    exported = export_onnx(model)
    for name in set(OUTPUT_NAMES) - known.tasks.keys():
        drop_output(exported, name)
    fp32 = known.save(exported, output, key=f"{recipe.architecture}.fp32", scheme={"name": "fp32"})
    clips = calibration_clips(gathered.train, per_class=recipe.quantization.clips_per_class, seed=recipe.seed)
    scheme = scheme_named(recipe.quantization.scheme)
    graph = _graph(quantize(fp32.path, scheme=scheme.name, waveforms=known.waveforms(clips)))
    small = known.save(
        graph,
        output,
        key=f"{recipe.architecture}.{scheme.name}",
        scheme=scheme.described(),
        calibration=Calibration(sha256=ids_sha256(clips), clips=len(clips)),
        parent=fp32.sha256,
        parity=Parity(
            reference=fp32.sha256,
            max_abs=_tolerance(fp32.path, graph, known.waveforms(gathered.validation)),
        ),
    )
    text = render_card(_card(fp32, small, recipe, gathered, command=command))
    (output / known.card).write_text(text, encoding="utf-8")
    return fp32, small


def _graph(data: bytes) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415

    return onnx.load_model_from_string(data)


class _Common:
    """What the artifacts of one run have in common."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe | DistilRecipe | CategoricalRecipe,
        gathered: Gathered,
        origin: Origin | None,
    ) -> None:
        self.card = f"{recipe.architecture}.md"
        origin = origin or Origin(training_facts(recipe, gathered))
        self.training, self.preparation = origin.training, list(origin.preparation)
        licences = [clip.licence for clip in [*gathered.train, *gathered.validation]]
        self.licence = weights_licence([*licences, *origin.licences])
        self.tasks = {}
        left_out = set()  # the head of what was not learnt, by the name that every architecture gives it
        if origin.dimensions:
            self.tasks[OUTPUT_NAMES[0]] = Task(kind="dimensional", labels=list(ADV))
        else:
            left_out.add("adv")
        if origin.emotions:
            self.tasks[OUTPUT_NAMES[1]] = Task(kind="categorical", labels=list(EMOTIONS))
        else:
            left_out.add("emotion")
        self.parameters = sum(
            p.numel() for name, p in model.named_parameters() if left_out.isdisjoint(name.split("."))
        )

    def waveforms(self, clips: Sequence[Clip]) -> list[NDArray[np.float32]]:
        """The clips as the net meets them."""
        return [prepare(load_waveform(clip), self.preparation, SAMPLE_RATE_HZ) for clip in clips]

    def save(self, graph: onnx.ModelProto, folder: Path, **particular: Any) -> Artifact:
        count = count_macs(graph, input_s=MACS_INPUT_S)
        manifest = Manifest(
            sha256=None,
            size_bytes=None,
            format="onnx",
            opset=OPSET,
            ir_version=IR_VERSION,
            sample_rate_hz=SAMPLE_RATE_HZ,
            tasks=self.tasks,
            preparation=self.preparation,
            parameters=self.parameters,
            macs=Macs(value=count.value, input_s=count.input_s, rule=count.rule),
            training=self.training,
            licence=self.licence,
            card=self.card,
            **particular,
        )
        return save_artifact(graph, manifest, folder)


def _tolerance(fp32: Path, graph: onnx.ModelProto, clips: Sequence[NDArray[np.float32]]) -> float:
    """Largest difference to fp32 on clips (samples,) and on noise, times the margin, to two digits."""
    rng = np.random.default_rng(0)
    noise: list[NDArray[np.float32]] = [
        rng.uniform(-1.0, 1.0, round(length_s * SAMPLE_RATE_HZ)).astype(np.float32)
        for length_s in NOISE_LENGTHS_S
    ]
    largest = largest_difference(fp32.read_bytes(), graph.SerializeToString(), [*clips, *noise])
    return float(f"{PARITY_MARGIN * largest:.1e}")


def _card(
    fp32: Artifact,
    small: Artifact,
    recipe: Recipe | DistilRecipe | CategoricalRecipe,
    gathered: Gathered,
    *,
    command: str,
) -> CardFacts:
    """Score both artifacts on the test speakers and gather what the card says."""
    assert fp32.manifest is not None and small.manifest is not None
    assert fp32.manifest.training is not None
    pair = (fp32, small)
    predicted = (predict_corpora(fp32, gathered.test), predict_corpora(small, gathered.test))
    rows = [
        Row(artifact.key, found.corpus, found.label_source, found.clips, found.speakers, found.figures)
        for artifact, predictions in zip(pair, predicted, strict=True)
        for found in evaluate(artifact, gathered.test, predictions, seed=recipe.seed)
    ]
    if OUTPUT_NAMES[1] in fp32.manifest.tasks:  # the baseline names emotions, and nothing else
        rows += _baseline_rows(fp32, gathered, seed=recipe.seed)
    counts = {
        name: CorpusCounts(
            *(sum(c.corpus == name for c in gathered.part(p)) for p in ("train", "validation", "test"))
        )
        for name in fp32.manifest.training.corpora
    }
    return CardFacts(
        architecture=recipe.architecture,
        artifacts=[(a.manifest, a.size_bytes) for a in pair if a.manifest is not None],
        training=fp32.manifest.training,
        split=gathered.split.name,
        leaks_speakers=gathered.split.leaks_speakers,
        chosen=not isinstance(recipe.validation, ValidationSection) or recipe.validation.keep == "best",
        counts=counts,
        metrics=FIGURES,
        rows=rows,
        losses=evaluate_loss(pair, gathered.test, predicted, seed=recipe.seed),
        command=command,
    )


def _baseline_rows(artifact: Artifact, gathered: Gathered, *, seed: int) -> list[Row]:
    """The trivial baseline, learnt on each corpus' training speakers alone and scored like the nets."""
    train = by_corpus([clip for clip in gathered.train if clip.emotion is not None])
    test = by_corpus(gathered.test)
    predictions = {
        name: predict_baseline(train[name], clips) for name, clips in test.items() if name in train
    }
    clips = [clip for name in predictions for clip in test[name]]
    return [
        Row(baseline.KEY, found.corpus, found.label_source, found.clips, found.speakers, found.figures)
        for found in evaluate(artifact, clips, predictions, seed=seed)
    ]
