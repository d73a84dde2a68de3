"""Which speech may calibrate a model, and what is refused: nothing is written then."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgebench.corpora import synthetic_clips
from edgebench.errors import CorpusError, ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.training.artifacts.quantize import Folder, choose_clips
from edgebench.training.clips.folder import folder_clips

RATE = 16_000


def write(folder: Path, name: str, *, rate_hz: int = RATE, seed: int = 0, level: float = 0.3) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = level * np.random.default_rng(seed).uniform(-1, 1, rate_hz // 2)
    soundfile.write(path, sound.astype(np.float32), rate_hz, subtype="PCM_16")
    return path


def write_all(folder: Path, *, seeds: list[int], silent: bool = False) -> Path:
    """One clip a seed; with ``silent`` the first holds zeros."""
    for number, seed in enumerate(seeds):
        write(folder, f"{number}.wav", seed=seed, level=0.0 if silent and number == 0 else 0.3)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine clips in two folders of which two are the same; and what is no clip."""
    for number in range(8):
        write(tmp_path, f"{'a' if number % 2 else 'b'}/clip{number}.wav", seed=number)
    (tmp_path / "again.wav").write_bytes((tmp_path / "a" / "clip1.wav").read_bytes())
    (tmp_path / "notes.txt").write_text("no sound")
    (tmp_path / "._clip0.wav").write_bytes(b"left by a file manager")
    return tmp_path


def test_a_folder_is_divided_by_content(folder: Path):
    """Every fourth by hash is held back; names and copies change nothing; the hash pins what was used."""
    found = folder_clips(folder, sample_rate_hz=RATE)
    assert (len(found.calibration), len(found.held_back)) == (6, 2)
    hashes = [hashlib.sha256(clip.path.read_bytes()).hexdigest() for clip in found.calibration]
    assert hashes == sorted(hashes)
    assert found.sha256 == hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    used = {clip.path.read_bytes() for clip in found.calibration}
    assert not used & {clip.path.read_bytes() for clip in found.held_back}
    (folder / "b" / "clip0.wav").rename(folder / "renamed.wav")
    assert folder_clips(folder, sample_rate_hz=RATE).sha256 == found.sha256
    write(folder, "new.wav", seed=99)
    assert folder_clips(folder, sample_rate_hz=RATE).sha256 != found.sha256


def test_clips_at_another_rate(folder: Path, tmp_path_factory):
    write(folder, "b/high.wav", rate_hz=44_100)
    with pytest.raises(CorpusError, match=r"44100 Hz, expected 16000 Hz.*--resample"):
        folder_clips(folder, sample_rate_hz=RATE)
    cache = tmp_path_factory.mktemp("cache")
    found = folder_clips(folder, sample_rate_hz=RATE, resample_into=cache)
    assert len(found.calibration) + len(found.held_back) == 9
    assert len(list(cache.rglob("*.w64"))) == 1


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (lambda folder: folder / "nowhere", UsageError, "no such folder"),
        (lambda folder: folder, CorpusError, "no audio file is in it"),
        (lambda folder: write_all(folder, seeds=[0]), CorpusError, "1 audio file, 1 of different content"),
        (lambda folder: write_all(folder, seeds=[0] * 4), CorpusError, "4 audio files, 1 of different"),
        (
            lambda folder: write_all(folder, seeds=[0, 1, 2, 3], silent=True),
            CorpusError,
            r"1 of 4 clips are silent.*0\.wav",
        ),
        (lambda folder: write_all(folder, seeds=[0], silent=True), CorpusError, "1 of 1 clips are silent"),
        (lambda folder: write(folder, "one.wav"), UsageError, "Give a folder"),
    ],
)
def test_folders_that_are_refused(tmp_path: Path, make, error: type[Exception], told: str):
    with pytest.raises(error, match=told):
        folder_clips(make(tmp_path), sample_rate_hz=RATE)


def test_a_file_that_is_no_sound(folder: Path):
    (folder / "broken.wav").write_bytes(b"RIFF, and nothing that follows from it")
    with pytest.raises(CorpusError, match=r"broken\.wav"):
        folder_clips(folder, sample_rate_hz=RATE)


def test_a_corpus_of_test_speakers_alone(monkeypatch: pytest.MonkeyPatch):
    """The generated corpus, with the voices alone that test the packaged model."""
    from edgebench.training.artifacts import quantize

    parent = load_artifact("wav2small.fp32")
    tested = set(parent.manifest.training.corpora["synthetic"].test)
    voices = [clip for clip in synthetic_clips() if clip.speaker in tested]
    assert voices
    monkeypatch.setattr(quantize, "synthetic_clips", lambda: voices)
    with pytest.raises(CorpusError, match=r"test speakers alone \(synthetic v01"):
        choose_clips(parent, {"synthetic": None})


def test_test_speakers_are_never_among_the_chosen():
    parent = load_artifact("wav2small.fp32")
    chosen = choose_clips(parent, {"synthetic": None})
    tested = set(parent.manifest.training.corpora["synthetic"].test)
    speakers = {clip.speaker for clip in [*chosen.clips, *chosen.judged]}
    assert speakers and not speakers & tested
    assert not {clip.speaker for clip in chosen.clips} & {clip.speaker for clip in chosen.judged}


@pytest.mark.corpora
def test_a_released_corpus_given_as_a_folder(corpora_root: Path, tmp_path: Path):
    """Its layout says whose speech it is: the same clips as by name, and no test speaker."""
    parent = load_artifact("wav2small.fp32")
    where = corpora_root / "emodb"
    as_folder, by_name = choose_clips(parent, Folder(where)), choose_clips(parent, {"emodb": where})
    assert as_folder.calibration == by_name.calibration
    assert not {clip.speaker for clip in as_folder.clips} & {"09", "10", "13"}


@pytest.mark.corpora
def test_a_released_corpus_cut_to_its_test_speakers(corpora_root: Path, tmp_path: Path):
    """EmoDB's file names begin with the speaker: 09, 10 and 13 test the packaged model."""
    (tmp_path / "wav").mkdir()
    for path in sorted((corpora_root / "emodb" / "wav").iterdir()):
        if path.name[:2] in ("09", "10", "13"):
            (tmp_path / "wav" / path.name).symlink_to(path)
    parent = load_artifact("wav2small.fp32")
    for speech in ({"emodb": tmp_path}, Folder(tmp_path)):
        with pytest.raises(CorpusError, match="emodb 09, emodb 10, emodb 13"):
            choose_clips(parent, speech)


def test_a_model_without_training_takes_generated_clips_or_a_folder(tmp_path: Path, folder: Path):
    net = load_artifact("wav2small.fp32")
    copy = tmp_path / "copy" / "theirs.onnx"
    copy.parent.mkdir()
    import onnx

    model = onnx.load(net.path)
    del model.metadata_props[:]
    onnx.save(model, copy)
    parent = load_artifact(copy)
    assert parent.manifest is None
    assert choose_clips(parent, {"synthetic": None}).calibration.clips > 8
    assert choose_clips(parent, Folder(folder)).calibration.clips == 6
    with pytest.raises(ModelError, match=r"no manifest that says.*--calibration DIR"):
        choose_clips(parent, {"emodb": tmp_path})
