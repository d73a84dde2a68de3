"""Figures 1 and 3 of the Wav2Small paper, predicted on this host by the agent, as an evaluation is."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.corpora import SAMPLE_RATE_HZ, Where, read_corpus, write_pack
from edgebench.corpora.audio import audio_facts, read_waveform
from edgebench.corpora.packfile import write as write_clips
from edgebench.errors import CorpusError, ModelError, UsageError
from edgebench.files import sha256_of
from edgebench.harness.events import Events
from edgebench.harness.host.evaluate import predict_corpora, scorable
from edgebench.harness.plan import PackedCorpus
from edgebench.harness.speech import pack_path, seen_speakers, warn_of
from edgebench.models import load_artifacts
from edgebench.papers.wav2small.figures import Follow, Plane, PlaneModel, PlanePoint, dimensions
from edgebench.results.evaluation import names_of

if TYPE_CHECKING:
    from edgebench.corpora import Clip
    from edgebench.corpora.audio import Waveform
    from edgebench.models import Artifact
    from edgebench.results import Predictions

PLANE = ("arousal", "valence")
# A net that keeps 250 frames a second needs some to pool over, and no recording needs more windows.
_SHORTEST_WINDOW_S = 0.1
_MOST_WINDOWS = 100_000


def emotion_plane(
    models: Sequence[str], corpus: str, folder: Where, *, include_seen: bool, cache: Path, events: Events
) -> Plane:
    """Figure 1: every clip of ``corpus`` with a category of whatever kind, as each model sees it.

    Speakers that a model was trained on are left out, unless ``include_seen``. Raises as ``evaluate``
    does, and ModelError for a model without arousal and valence.
    """
    artifacts = _dimensional(models, PLANE)
    events.stage(f"packing corpus {corpus}")
    clips = read_corpus(corpus, folder, progress=lambda done, total: events.advance(done, total, "clips"))
    seen = seen_speakers(artifacts, corpus)
    kept = clips if include_seen else [clip for clip in clips if clip.speaker not in seen]
    if not kept:
        raise CorpusError(
            f"corpus {corpus}: all {len(clips)} clips are of speakers that the models were trained on. Take "
            "another corpus, or pass --include-seen."
        )
    packs = cache / "packs"
    info = write_pack(
        kept,
        pack_path(packs, corpus, kept),
        strict=False,
        progress=lambda done, total: events.advance(done, total, "clips"),
    )
    warn_of(info.left_out, corpus, events)
    packed = PackedCorpus(corpus, info.path, info.sha256, info.audio_s)
    found = predict_corpora(artifacts, [packed], cache=cache, events=events)
    known = {clip.id: clip for clip in kept}
    names = names_of({artifact.sha256: artifact.key for artifact in artifacts})
    return Plane(
        corpus=corpus,
        models=tuple(
            PlaneModel(
                names[artifact.sha256],
                artifact.sha256,
                _points(artifact, found[artifact.sha256, corpus], known),
            )
            for artifact in artifacts
        ),
        n_speakers=len({known[name].speaker for name in info.clip_ids}),
        left_out={"seen_speaker": len(clips) - len(kept), "unreadable": len(info.left_out)},
        seen=sum(known[name].speaker in seen for name in info.clip_ids),
    )


def follow_teacher(
    student: str,
    teacher: str,
    recording: Path,
    *,
    window_s: float,
    hop_s: float,
    cache: Path,
    events: Events,
) -> Follow:
    """Figure 3: both models on every window of ``recording``, which may be of any length.

    Raises UsageError for a window or hop that makes no sense, ModelError for a model without arousal
    and valence or one that would cut the window, CorpusError for a recording that cannot be used.
    """
    if not (window_s >= _SHORTEST_WINDOW_S and hop_s > 0.0):
        raise UsageError(
            f"a window of {window_s:g} s every {hop_s:g} s: the window must last {_SHORTEST_WINDOW_S:g} s or "
            "more, the hop more than 0 s."
        )
    artifacts = _dimensional((student, teacher), PLANE)
    for artifact in artifacts:
        _refuse_cut(artifact, window_s)
    events.stage(f"cutting {recording.name} into windows")
    waveform = read_waveform(recording)
    starts = _starts(len(waveform), recording, window_s=window_s, hop_s=hop_s)
    with _windows(waveform, starts, recording, window_s=window_s) as packed:
        found = predict_corpora(artifacts, [packed], cache=cache, events=events)
    names = names_of({artifact.sha256: artifact.key for artifact in artifacts})
    by_dimension = [
        dimensions(found[artifact.sha256, packed.name], _tasks(artifact)) for artifact in artifacts
    ]
    return Follow(
        student_name=names[artifacts[0].sha256],
        teacher_name=names[artifacts[1].sha256],
        recording=recording.name,
        duration_s=len(waveform) / SAMPLE_RATE_HZ,
        window_s=window_s,
        hop_s=hop_s,
        times_s=tuple(start / SAMPLE_RATE_HZ + window_s / 2 for start in starts),
        student=by_dimension[0],
        teacher=by_dimension[1],
    )


def _dimensional(models: Sequence[str], wanted: Sequence[str]) -> list[Artifact]:
    """The models, each of which can be scored and gives the wanted dimensions."""
    if not models:
        raise UsageError("name the models: packaged ones (`edgebench models`) or ONNX files.")
    artifacts = scorable(load_artifacts(models))
    for artifact in artifacts:
        tasks = _tasks(artifact).values()
        given = {label for task in tasks if task["kind"] == "dimensional" for label in task["labels"]}
        missing = [name for name in wanted if name not in given]
        if missing:
            raise ModelError(
                f"model {artifact.path} gives no {' and no '.join(missing)}: its manifest names "
                f"{', '.join(sorted(given)) or 'no dimension'}. The figure needs {' and '.join(wanted)}."
            )
    return artifacts


def _tasks(artifact: Artifact) -> dict[str, dict[str, Any]]:
    assert artifact.manifest is not None
    return {name: task.model_dump() for name, task in artifact.manifest.tasks.items()}


def _points(artifact: Artifact, predictions: Predictions, clips: dict[str, Clip]) -> tuple[PlanePoint, ...]:
    values = dimensions(predictions, _tasks(artifact))
    return tuple(
        PlanePoint(name, clips[name].speaker, clips[name].emotion or clips[name].label, arousal, valence)
        for name, arousal, valence in zip(
            predictions.clips, values["arousal"], values["valence"], strict=True
        )
    )


def _refuse_cut(artifact: Artifact, window_s: float) -> None:
    """A model that takes the first seconds alone would not see the window that the figure claims."""
    assert artifact.manifest is not None
    for step in artifact.manifest.preparation:
        longest_s = step.get("max_s")
        if step["step"] == "crop" and isinstance(longest_s, (int, float)) and longest_s < window_s:
            raise ModelError(
                f"model {artifact.path} takes {longest_s:g} s at most, the window is {window_s:g} s. Pass "
                f"--window-s {longest_s:g} or less."
            )


def _starts(samples: int, recording: Path, *, window_s: float, hop_s: float) -> list[int]:
    """First sample of each whole window."""
    window = round(window_s * SAMPLE_RATE_HZ)
    hop = max(1, round(hop_s * SAMPLE_RATE_HZ))
    starts = list(range(0, samples - window + 1, hop))
    if len(starts) < 2:
        raise CorpusError(
            f"recording {recording}: {samples / SAMPLE_RATE_HZ:.2f} s hold {len(starts)} windows of "
            f"{window_s:g} s every {hop_s:g} s; two or more make a line. Take a longer recording, or a "
            "shorter window."
        )
    if len(starts) > _MOST_WINDOWS:
        raise UsageError(
            f"recording {recording}: a hop of {hop_s:g} s makes {len(starts):,} windows, more than "
            f"{_MOST_WINDOWS:,}. Pass a longer --hop-s."
        )
    return starts


@contextlib.contextmanager
def _windows(
    waveform: Waveform, starts: Sequence[int], recording: Path, *, window_s: float
) -> Iterator[PackedCorpus]:
    """The windows as a pack, which is gone afterwards; a clip's id is its first sample."""
    window = round(window_s * SAMPLE_RATE_HZ)
    dtype = "int16" if audio_facts(recording).subtype == "PCM_16" else "float32"
    windows = ((str(start), waveform[start : start + window]) for start in starts)
    with tempfile.TemporaryDirectory(prefix="edgebench-") as folder:
        path = Path(folder) / "windows.pack"
        try:
            write_clips(path, windows, sample_rate_hz=SAMPLE_RATE_HZ, dtype=dtype)
        except OSError as error:
            raise CorpusError(
                f"recording {recording}: its windows cannot be written to {folder}: "
                f"{error.strerror or error}. Free some space, set TMPDIR to a larger disk, or pass a longer "
                "--hop-s."
            ) from error
        audio_s = len(starts) * window / SAMPLE_RATE_HZ
        yield PackedCorpus("recording", path, sha256_of(path), audio_s)
