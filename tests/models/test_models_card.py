"""The card: every figure it was given, and a dash where there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from model_files import manifest_values

from edgebench.models.making.card import CardFacts, CorpusCounts, Row, render_card
from edgebench.models.manifest import CorpusSpeakers, Manifest, Training


@dataclass
class Figure:
    value: float | None
    lo: float | None = None
    hi: float | None = None


@pytest.fixture
def facts() -> CardFacts:
    speakers = CorpusSpeakers(train=["a", "b"], validation=["c"], test=["d"], licence="CC-BY-4.0")
    training = Training(
        corpora={"emodb": speakers}, split_sha256="0" * 64, seed=7, recipe="plain", label_source="prototype"
    )
    manifest = Manifest.model_validate(manifest_values(training=training))
    rows = [
        Row("tiny.fp32", "emodb", "prototype", 12, ("d",), {"ua": Figure(0.5, 0.4, 0.61), "wa": Figure(None)})
    ]
    return CardFacts(
        architecture="tiny",
        artifacts=[(manifest, 1234)],
        training=training,
        split="halves",
        counts={"emodb": CorpusCounts(30, 10, 12)},
        metrics=("ua", "wa"),
        rows=rows,
        losses={
            "tiny.int8": {"emodb": {"ua_loss": Figure(-0.002, -0.01, 0.004), "classes_changed": Figure(3)}}
        },
        commands=["edgebench train tiny --output DIR", "edgebench quantize tiny.fp32"],
    )


def test_figures_and_provenance_are_on_it(facts):
    text = render_card(facts)
    assert "| emodb | `tiny.fp32` | 12 / 1 | prototype | 0.500 [0.400, 0.610] | - |" in text
    assert "| emodb | `tiny.int8` | -0.002 [-0.010, +0.004] | - | 3 |" in text
    assert "| emodb | CC-BY-4.0 | 2 (30) | 1 (10) | 1 (12) |" in text
    assert "| `tiny.fp32` | 1,234 | 32 |" in text
    assert "seed 7" in text
    assert "0" * 64 in text
    assert "edgebench train tiny --output DIR\nedgebench quantize tiny.fp32\n" in text


def test_it_says_whether_validation_chose_the_weights(facts):
    assert "The weights were chosen on the validation speakers." in render_card(facts)
    assert "The weights are those of the last step." in render_card(replace(facts, chosen=False))


def test_prototype_labels_are_called_so(facts):
    assert "not ratings of clips" in render_card(facts)
    human = replace(facts, training=facts.training.model_copy(update={"label_source": "human"}))
    assert "not ratings of clips" not in render_card(human)
