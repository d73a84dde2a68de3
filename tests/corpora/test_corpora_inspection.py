"""What ``corpora check`` says of a corpus, against corpora with known faults."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from official_layouts import BUILD, build_emodb, build_esd, build_msp_podcast, build_table, path_of

from edgebench.corpora import READERS, inspect_corpus, load_waveform, read_corpus
from edgebench.errors import CorpusError, UsageError


@pytest.fixture
def noise(tmp_path):
    """Write a sound of its own for every file: equal files would be duplicates."""
    seeds = iter(range(1000))

    def write(path, *, rate_hz=16_000, channels=1, samples=1600, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        sound = np.random.default_rng(next(seeds)).uniform(-0.5, 0.5, (samples, channels))
        soundfile.write(path, sound, rate_hz, **{"subtype": "PCM_16", **options})
        return path

    return write


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_corpus_can_be_inspected(name, tmp_path, noise):
    path = path_of(name, tmp_path)
    BUILD[name][0](path, noise)
    seen = []
    found = inspect_corpus(path, progress=lambda done, total: seen.append((done, total)))
    clips = read_corpus(name, path)
    assert (found.name, found.clips, found.title) == (name, len(clips), READERS[name].title)
    assert found.usable == sum(clip.labelled for clip in clips)
    assert found.duration_s == pytest.approx(0.1 * len(clips))
    assert seen == [(n, len(clips)) for n in range(1, len(clips) + 1)]
    assert sum(row.clips for row in found.speakers.values()) == len(clips)
    assert sum(found.emotions.values()) == sum(found.labels.values()) == len(clips)
    assert (found.unreadable, found.duplicates, found.silent, found.to_convert) == ((), (), (), 0)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["warnings"] == found.warnings


def test_counts_of_a_small_emodb(tmp_path, noise):
    build_emodb(tmp_path, noise)
    found = inspect_corpus(tmp_path)
    assert found.emotions == {"anger": 1, "happiness": 1, "neutral": 1, "sadness": 1, "none of the four": 3}
    assert {name: row.clips for name, row in found.speakers.items()} == {"03": 2, "08": 2, "09": 1, "16": 2}
    assert found.speakers["08"].sex == "female"
    assert found.speakers["03"].emotions == {"anger": 1, "happiness": 1, "neutral": 0, "sadness": 0}
    assert (found.sample_rates_hz, found.channels, found.formats) == (
        {"16000": 7},
        {"1": 7},
        {"WAV PCM_16": 7},
    )
    assert found.warnings == []


def test_unreadable_clips_are_listed_with_their_reasons(tmp_path, noise):
    build_emodb(tmp_path, noise)
    (tmp_path / "wav" / "03a01Wa.wav").write_bytes(b"")
    (tmp_path / "wav" / "03a01Fa.wav").write_bytes(b"\xff\xfb\x90\x64" + bytes(413))
    cut = tmp_path / "wav" / "08b02Tc.wav"
    cut.write_bytes(cut.read_bytes()[:1000])
    samples = np.full(100, np.nan, dtype=np.float32)
    soundfile.write(tmp_path / "wav" / "09a02Nb.wav", samples, 16_000, subtype="FLOAT")
    found = inspect_corpus(tmp_path)
    told = {"03a01Wa": "is empty", "03a01Fa": "MP3", "08b02Tc": "cut short", "09a02Nb": "NaN"}
    assert [clip for clip, _ in found.unreadable] == sorted(told)
    for clip, reason in found.unreadable:
        assert told[clip] in reason
    assert (found.usable, found.clips) == (0, 7)
    assert found.duration_s == pytest.approx(0.3)
    assert found.warnings[0].startswith("4 clips cannot be read; the first: ")


def test_a_table_under_a_name_of_its_own_with_a_file_missing(tmp_path, noise):
    (tmp_path / "t").mkdir()
    build_table(tmp_path / "t" / "mine.csv", noise)
    (tmp_path / "t" / "mine.csv").write_text(
        "file,speaker,emotion\nrec/one.wav,a,angry\nrec/two.flac,b,sad\nthree.wav,b,sad\n"
    )
    found = inspect_corpus(tmp_path / "t" / "mine.csv", name="calls")
    assert (found.name, found.title, found.clips, found.usable) == ("calls", READERS["table"].title, 3, 2)
    assert found.unreadable[0][0] == "three"
    assert "cannot be opened: No such file" in found.unreadable[0][1]


def test_the_same_sound_is_found_across_formats_and_names(tmp_path, noise):
    build_emodb(tmp_path, noise)
    sound, _ = soundfile.read(tmp_path / "wav" / "03a01Wa.wav")
    (tmp_path / "wav" / "03a01Fa.wav").unlink()
    soundfile.write(tmp_path / "wav" / "03a01Fa.flac", sound, 16_000, subtype="PCM_16")
    found = inspect_corpus(tmp_path)
    assert found.duplicates == (("03a01Fa", "03a01Wa"),)
    assert "there is 1 sound under several names: 03a01Fa = 03a01Wa" in found.warnings[0]


def test_silence_is_told_and_is_no_duplicate(tmp_path, noise):
    build_emodb(tmp_path, noise)
    for name in ("03a01Wa", "03a01Fa"):
        soundfile.write(tmp_path / "wav" / f"{name}.wav", np.zeros(1600), 16_000, subtype="PCM_16")
    found = inspect_corpus(tmp_path)
    assert (found.silent, found.duplicates) == (("03a01Fa", "03a01Wa"), ())
    assert "2 clips are silent" in found.warnings[0]


FFMPEG = """#!{python}
import sys
import soundfile
arguments = sys.argv[1:]
source, target = arguments[arguments.index("-i") + 1], arguments[-1]
rate = int(arguments[arguments.index("-ar") + 1])
sound, _ = soundfile.read(source, always_2d=True)
soundfile.write(target, sound[:rate // 100, 0], rate, subtype="PCM_16")
"""


def test_other_rates_are_counted_with_a_command_that_converts_them(tmp_path, noise, monkeypatch):
    """The command is run as printed; only ffmpeg is a stand-in with its arguments (it need not be here)."""
    root = tmp_path / "my corpus"
    build_emodb(root, noise)
    noise(root / "wav" / "03a01Wa.wav", rate_hz=48_000, samples=4800)
    noise(root / "wav" / "03a01Fa.wav", channels=2)
    noise(root / "wav" / "09a02Nb.wav", rate_hz=44_100)
    before = inspect_corpus(root)
    assert (before.to_convert, before.usable, before.unreadable) == (3, 1, ())
    assert before.sample_rates_hz == {"16000": 5, "44100": 1, "48000": 1}
    assert before.channels == {"1": 6, "2": 1}
    assert before.speakers["03"].duration_s == pytest.approx(0.2)
    assert before.convert_command is not None
    assert before.convert_command in before.warnings[0]
    assert "3 of 7 clips are not mono at 16000 Hz" in before.warnings[0]

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ffmpeg").write_text(FFMPEG.format(python=sys.executable))
    (tmp_path / "bin" / "ffmpeg").chmod(0o755)
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    subprocess.run(["sh", "-c", before.convert_command], check=True, env={"PATH": path})
    after = inspect_corpus(tmp_path / "my corpus_16k")
    assert (after.to_convert, after.usable, after.clips, after.warnings) == (0, 4, 7, [])
    for clip in read_corpus("emodb", tmp_path / "my corpus_16k"):
        assert len(load_waveform(clip)) == 160
    assert inspect_corpus(root).to_convert == 3  # the original is left as it was


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg on this machine")
def test_the_command_with_the_real_ffmpeg(tmp_path, noise):
    build_emodb(tmp_path / "c", noise)
    noise(tmp_path / "c" / "wav" / "03a01Wa.wav", rate_hz=48_000, samples=4800)
    command = inspect_corpus(tmp_path / "c").convert_command
    assert command is not None
    subprocess.run(["sh", "-c", command], check=True)
    assert inspect_corpus(tmp_path / "c_16k").to_convert == 0


def test_speakers_in_two_of_the_corpus_own_parts(tmp_path, noise):
    build_esd(tmp_path, noise)
    found = inspect_corpus(tmp_path)
    assert found.partitions == {"test": 5, "train": 5}
    assert found.speakers_in_two_partitions == {"0001": ("test", "train")}
    assert "1 speakers stand in two of the corpus' own parts (test, train): 0001" in found.warnings[0]


def test_unknown_speakers_are_told_and_are_in_no_two_parts(tmp_path, noise):
    build_msp_podcast(tmp_path, noise)
    found = inspect_corpus(tmp_path)
    assert found.speakers_in_two_partitions == {}
    assert any("2 clips have an unknown speaker" in warning for warning in found.warnings)
    assert (found.rated, found.usable, found.clips) == (4, 4, 5)


def test_one_speaker_and_missing_emotions_are_told(tmp_path, noise):
    noise(tmp_path / "03a01Wa.wav")
    warnings = inspect_corpus(tmp_path).warnings
    assert any("one known speaker" in warning for warning in warnings)
    assert any("no clip has the emotion happiness or neutral or sadness" in warning for warning in warnings)


def test_a_layout_may_be_named_and_is_then_held_to(tmp_path, noise):
    build_emodb(tmp_path, noise)
    with pytest.raises(CorpusError, match=r"corpus 'ravdess' at .*: expected folders Actor_01"):
        inspect_corpus(tmp_path, name="ravdess")
    with pytest.raises(UsageError, match="did you mean 'ravdess'"):
        inspect_corpus(tmp_path, name="ravdes")
    with pytest.raises(UsageError, match="did you mean 'ravdess'"):
        inspect_corpus(tmp_path / "wav" / "03a01Wa.wav", name="ravdes")
    (tmp_path / "wav" / "holiday.wav").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"found 'holiday.wav'"):
        inspect_corpus(tmp_path)


@pytest.mark.corpora
def test_ravdess_has_the_one_pair_that_its_readme_names(corpora_root):
    found = inspect_corpus(corpora_root / "ravdess")
    assert found.duplicates == (("03-01-03-01-02-01-07", "03-01-03-01-02-02-07"),)
    assert (found.name, found.clips, found.usable, len(found.speakers)) == ("ravdess", 1440, 672, 24)
    assert len(found.warnings) == 1


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("name", "clips", "speakers"), [("emodb", 339, 10), ("nemo", 720, 9), ("urdu", 400, 29)]
)
def test_the_other_real_corpora(corpora_root, name, clips, speakers):
    found = inspect_corpus(corpora_root / name)
    assert (found.name, found.clips, len(found.speakers)) == (name, clips, speakers)
    assert (found.usable, found.unreadable, found.to_convert) == (clips, (), 0)
