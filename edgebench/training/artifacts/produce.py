"""What a finished run leaves: the fp32 artifact, the quantized one, their manifests and the card.

Training speakers calibrate the quantizer and validation speakers set its tolerance. Test speakers are used
here for the first time, and only to report figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.corpora import ADV, EMOTIONS, SAMPLE_RATE_HZ, load_waveform, write_split
from edgebench.models.artifact import Artifact
from edgebench.models.graph.macs import count_macs
from edgebench.models.making.card import CardFacts, CorpusCounts, Row, render_card
from edgebench.models.making.export import IR_VERSION, OPSET, export_onnx, save_artifact
from edgebench.models.making.quantized import MACS_INPUT_S, quantize_artifact
from edgebench.models.manifest import Calibration, Macs, Manifest, Task
from edgebench.models.outputs import DIMENSIONS, EMOTION_LOGITS
from edgebench.training.artifacts import baseline
from edgebench.training.artifacts.baseline import predict_baseline
from edgebench.training.artifacts.score import METRICS, accuracy_drop, predict_corpora, score_artifact
from edgebench.training.clips.gather import SPLIT, Gathered, by_corpus, calibration_clips, ids_sha256
from edgebench.training.lineage import Lineage
from edgebench.training.recipes.sections import Recipe

if TYPE_CHECKING:
    import onnx

    from edgebench.models.layers.speech_net import SpeechNet

# The module of each head, by the name that every architecture gives it.
HEAD_MODULES = {DIMENSIONS: "adv", EMOTION_LOGITS: "emotion"}
TASKS = {
    DIMENSIONS: Task(kind="dimensional", labels=list(ADV)),
    EMOTION_LOGITS: Task(kind="categorical", labels=list(EMOTIONS)),
}


def produce(
    model: SpeechNet,
    recipe: Recipe,
    gathered: Gathered,
    output: Path,
    *,
    command: str,
    lineage: Lineage,
) -> tuple[Artifact, Artifact]:
    """Export, quantize, check, score and describe ``model``; returns the fp32 and the quantized artifact.

    ``split.json`` holds the split whose hash the manifests name.
    """
    output.mkdir(parents=True, exist_ok=True)
    write_split(gathered.split, output / SPLIT)
    known = _Common(model, recipe, lineage)
    exported = export_onnx(model, outputs=lineage.outputs)
    fp32 = known.save(exported, output, key=f"{recipe.architecture}.fp32", scheme={"name": "fp32"})
    clips = calibration_clips(gathered.train, per_class=recipe.quantization.clips_per_class, seed=recipe.seed)
    small = quantize_artifact(
        fp32,
        recipe.quantization.scheme,
        clips=[load_waveform(clip) for clip in clips],
        calibration=Calibration(sha256=ids_sha256(clips), clips=len(clips)),
        validation=[load_waveform(clip) for clip in gathered.validation],
        folder=output,
    )
    text = render_card(card_facts([fp32, small], recipe, gathered, commands=[command]))
    (output / known.card).write_text(text, encoding="utf-8")
    return fp32, small


class _Common:
    """What the artifacts of one run have in common."""

    def __init__(self, model: SpeechNet, recipe: Recipe, lineage: Lineage) -> None:
        self.card = f"{recipe.architecture}.md"
        self.training, self.licence = lineage.training, lineage.licence
        self.preparation = [dict(step) for step in lineage.preparation]
        self.tasks = {name: TASKS[name] for name in lineage.outputs}
        self.parameters = count_parameters(model, lineage.outputs)

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


def card_facts(
    artifacts: Sequence[Artifact], recipe: Recipe, gathered: Gathered, *, commands: Sequence[str]
) -> CardFacts:
    """What the card of ``artifacts`` says, fp32 first: all of them are scored on the test speakers."""
    fp32, *quantized = artifacts
    assert fp32.manifest is not None and fp32.manifest.training is not None
    predicted = {artifact.key: predict_corpora(artifact, gathered.test) for artifact in artifacts}
    rows = [
        Row(artifact.key, found.corpus, found.label_source, found.clips, found.speakers, found.figures)
        for artifact in artifacts
        for found in score_artifact(artifact, gathered.test, predicted[artifact.key])
    ]
    if EMOTION_LOGITS in fp32.manifest.tasks:  # the baseline names emotions, and nothing else
        rows += _baseline_rows(fp32, gathered)
    counts = {
        name: CorpusCounts(
            *(sum(c.corpus == name for c in gathered.part(p)) for p in ("train", "validation", "test"))
        )
        for name in fp32.manifest.training.corpora
    }
    return CardFacts(
        architecture=recipe.architecture,
        artifacts=[(a.manifest, a.size_bytes) for a in artifacts if a.manifest is not None],
        training=fp32.manifest.training,
        split=gathered.split.name,
        leaks_speakers=gathered.split.leaks_speakers,
        chosen=recipe.chosen_by_validation,
        counts=counts,
        metrics=METRICS,
        rows=rows,
        losses={
            small.key: accuracy_drop(
                (fp32, small), gathered.test, (predicted[fp32.key], predicted[small.key])
            )
            for small in quantized
        },
        commands=commands,
    )


def _baseline_rows(artifact: Artifact, gathered: Gathered) -> list[Row]:
    """The baseline, trained on each corpus' training speakers alone and scored like the nets."""
    train = by_corpus([clip for clip in gathered.train if clip.emotion is not None])
    test = by_corpus(gathered.test)
    predictions = {
        name: predict_baseline(train[name], clips) for name, clips in test.items() if name in train
    }
    clips = [clip for name in predictions for clip in test[name]]
    return [
        Row(baseline.KEY, found.corpus, found.label_source, found.clips, found.speakers, found.figures)
        for found in score_artifact(artifact, clips, predictions)
    ]


def count_parameters(model: SpeechNet, outputs: Sequence[str]) -> int:
    """The parameters of the net, without the heads of outputs that an artifact leaves out."""
    left_out = {head for name, head in HEAD_MODULES.items() if name not in outputs}
    return sum(p.numel() for name, p in model.named_parameters() if left_out.isdisjoint(name.split(".")))
