"""What a run's record says of a corpus: what was chosen, converted, scaled, and which figures there are."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from edgebench.corpora import Source
from edgebench.corpora.resample import resampler
from edgebench.harness.events import Silent
from edgebench.harness.speech import prepare_corpus
from edgebench.results import CorpusFacts
from edgebench.results.metrics.accuracy import score
from edgebench.results.records.messages import Predictions
from edgebench.results.report.notes import corpus_notes

DIMENSIONS = ("arousal", "dominance", "valence")


def sound(seed: int, *, rate_hz: int = 16_000, level: float = 0.5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-level, level, rate_hz).astype("f4")


@pytest.fixture
def calls(tmp_path):
    """Six clips of three speakers, rated by valence and arousal alone; two at 48 kHz, one too loud."""
    lines = ["file;speaker;valence;arousal;split"]
    for number in range(6):
        rate_hz = 48_000 if number < 2 else 16_000
        loud = number == 5
        samples = sound(number, rate_hz=rate_hz, level=1.3 if loud else 0.5)
        soundfile.write(tmp_path / f"{number}.wav", samples, rate_hz, subtype="FLOAT" if loud else "PCM_16")
        rating = str(number / 5).replace(".", ",")
        lines.append(f"{number}.wav;s{number // 2};{rating};{rating};test")
    lines.append("6.wav;s9;0;0;train")
    (tmp_path / "calls.csv").write_text("\n".join(lines))
    return Source(tmp_path / "calls.csv", partitions=("test",), resample_into=tmp_path / "resampled")


def facts_of(source, tmp_path) -> CorpusFacts:
    held_out = prepare_corpus(
        "calls", source, [], include_seen=False, cache=tmp_path / "packs", events=Silent()
    )
    # As it is stored and read again.
    return CorpusFacts.model_validate_json(held_out.facts.model_dump_json())


def test_the_record_says_what_was_chosen_converted_and_scaled(calls, tmp_path):
    facts = facts_of(calls, tmp_path)
    assert (facts.name, len(facts.clips), facts.selection, facts.scaled) == ("calls", 6, "#partition=test", 1)
    assert facts.converted is not None
    assert (facts.converted.clips, facts.converted.sample_rates_hz) == (2, {"48000": 2})
    assert facts.converted.resampler == resampler()
    notes = " ".join(corpus_notes(facts, score(answers(facts), facts, TASKS)))
    for part in ("#partition=test", "2 clips were converted", "48000 Hz", resampler(), "1 clips reached"):
        assert part in notes


def test_without_the_option_such_clips_are_left_out_and_counted(calls, tmp_path):
    facts = facts_of(Source(calls.path, partitions=calls.partitions), tmp_path)
    assert (len(facts.clips), facts.converted, facts.left_out["unreadable"]) == (4, None, 2)
    assert all("--resample" in clip["reason"] for clip in facts.unreadable)


TASKS = {"arousal_dominance_valence": {"kind": "dimensional", "labels": list(DIMENSIONS)}}


def answers(facts: CorpusFacts) -> Predictions:
    rows = [[0.1 + 0.8 * (clip.arousal or 0.0), 0.5, 0.4 + 0.1 * int(clip.id)] for clip in facts.clips]
    document = {
        "clips": [clip.id for clip in facts.clips],
        "names": list(TASKS),
        "values": [rows],
    }
    return Predictions.model_validate_json(json.dumps(document))


def test_two_dimensions_have_figures_and_the_third_a_reason(calls, tmp_path):
    facts = facts_of(calls, tmp_path)
    figures = score(answers(facts), facts, TASKS).figures
    # Lin's concordance of x and .1 + .8 x, x = 0, .2, ... 1, of variance v = .35 / 3 and mean .5:
    # 2 * .8 v / (v + .64 v + 0).
    assert figures["ccc_arousal"].value == pytest.approx(1.6 / 1.64)
    assert figures["ccc_valence"].value is not None
    assert figures["ccc_dominance"].value is None
    assert figures["ccc_dominance"].reason == "no clip of this corpus has a rating of dominance"
