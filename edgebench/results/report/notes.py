"""What has to be known to read accuracies: whose labels, which clips, what was done to them."""

from __future__ import annotations

from edgebench.results.metrics.accuracy import Scoring
from edgebench.results.records.record import CorpusFacts
from edgebench.results.summary import SYNTHETIC

SYNTHETIC_NOTE = (
    "Figures on the synthetic corpus are a check of the pipeline, not speech-emotion accuracy: its voices "
    "are generated."
)
_LABEL_NOTES = {
    "prototype": (
        "Arousal, dominance and valence here are prototype coordinates of the corpus' emotion words "
        "(label_source = prototype), not ratings by listeners."
    ),
    "human": "Labels were given by human listeners (label_source = human).",
    "synthetic": "Labels are the generator's own settings (label_source = synthetic).",
}


def corpus_notes(corpus: CorpusFacts, scored: Scoring | None) -> list[str]:
    """What has to be known to read accuracies on this corpus: label source, what was scored, seen or not."""
    notes = [SYNTHETIC_NOTE] if corpus.label_source == SYNTHETIC else []
    notes.append(_LABEL_NOTES.get(corpus.label_source, f"label_source = {corpus.label_source}."))
    if scored is not None:
        notes.append(
            f"{scored.n_clips} clips of {scored.n_speakers} speakers were scored; left out: "
            f"{left_out_text(corpus.left_out)}. In brackets: 95 % interval over speakers."
        )
        notes += _preparation_notes(corpus)
        if scored.seen:
            notes.append(
                f"SEEN IN TRAINING: {scored.seen} of the {scored.n_clips} scored clips are of speakers that "
                "an artifact was trained on. These figures are not held-out accuracy."
            )
    return notes


def _preparation_notes(corpus: CorpusFacts) -> list[str]:
    """What was chosen of the corpus, and what was done to its clips before they were scored."""
    notes = []
    if corpus.release is not None or corpus.selection is not None:
        release = f"Release {corpus.release}" if corpus.release is not None else "Of the corpus"
        notes.append(f"{release}{f', taken: {corpus.selection}' if corpus.selection is not None else ''}.")
    if corpus.converted is not None:
        rates = ", ".join(f"{n} from {rate} Hz" for rate, n in corpus.converted.sample_rates_hz.items())
        mixed = f", {corpus.converted.mixed_down} of several channels averaged" * bool(
            corpus.converted.mixed_down
        )
        notes.append(
            f"{corpus.converted.clips} clips were converted to mono at 16 kHz ({rates}{mixed}) by "
            f"{corpus.converted.resampler}."
        )
    if corpus.scaled:
        notes.append(f"{corpus.scaled} clips reached beyond full scale and were divided by their peak.")
    return notes


def left_out_text(left_out: dict[str, int]) -> str:
    """Clips left out, by reason."""
    words = {
        "seen_speaker": "of speakers seen in training",
        "no_label": "without a label",
        "unreadable": "unreadable",
    }
    return ", ".join(f"{count} {words.get(name, name)}" for name, count in left_out.items()) or "none"
