"""Speech a user may hand over by mistake: one paragraph, exit 4, nothing stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from support.cli import Edgebench

CORPUS = 4
NAMES = ("03a01Fa", "08a01Na", "09a01Wa", "10a01Ta")  # EmoDB: speakers 03, 08, 09, 10


def voice(seconds: float = 1.0, rate: int = 16000) -> np.ndarray:
    time_s = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 150 * time_s) * np.sin(2 * np.pi * 3 * time_s)).astype("f4")


@pytest.fixture
def emodb(tmp_path: Path) -> Path:
    """A small EmoDB in its official layout, every clip good."""
    folder = tmp_path / "emodb" / "wav"
    folder.mkdir(parents=True)
    for name in NAMES:
        soundfile.write(folder / f"{name}.wav", voice(), 16000, subtype="PCM_16")
    return folder


def refused(edgebench: Edgebench, folder: Path, *says: str) -> None:
    edgebench.refuses(
        "run", "--suite", "quick.toml", "--corpus", f"emodb={folder}", "--include-seen",
        status=CORPUS, says=says,
    )  # fmt: skip
    assert not (edgebench.store / "records.jsonl").exists()


OFFLINE_SUITE = """\
name = "speech-test"
scenarios = ["offline"]
launches = 1
min_duration_s = 0.1
min_count = 1
null_runtime = false
[repeats]
budget = 0
"""


def scored(edgebench: Edgebench, folder: Path) -> tuple[str, dict[str, Any]]:
    """What a run over the corpus says on stderr, and what its record says of the corpus."""
    (edgebench.folder / "offline.toml").write_text(OFFLINE_SUITE)
    result = edgebench.here(
        "run", "--suite", "offline.toml", "--model", "wav2small.fp32",
        "--corpus", f"emodb={folder}", "--include-seen",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    header = json.loads((edgebench.store / "records.jsonl").read_text().splitlines()[0])
    return result.stderr, header["corpora"][0]


def spoil_all(folder: Path, spoil: object) -> None:
    for path in folder.glob("*.wav"):
        spoil(path)  # type: ignore[operator]


def test_every_clip_bad_is_an_error_that_names_one(edgebench: Edgebench, emodb: Path) -> None:
    def at_8_khz(path: Path) -> None:
        soundfile.write(path, voice(rate=8000), 8000, subtype="PCM_16")

    spoil_all(emodb, at_8_khz)
    refused(edgebench, emodb.parent, "8000", "16000")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", "empty"),
        ("8 kHz", "8000"),
        ("stereo", "2 channels"),
        ("nan", "NaN"),
        ("mp3", "MP3"),
    ],
)
def test_one_bad_clip_is_left_out_counted_and_named(
    edgebench: Edgebench, emodb: Path, kind: str, said: str
) -> None:
    """The other clips are scored; the report says what was left out and why."""
    bad = emodb / f"{NAMES[0]}.wav"
    if kind == "empty":
        bad.write_bytes(b"")
    elif kind == "8 kHz":
        soundfile.write(bad, voice(rate=8000), 8000, subtype="PCM_16")
    elif kind == "stereo":
        soundfile.write(bad, np.stack([voice(), voice()], axis=1), 16000, subtype="PCM_16")
    elif kind == "nan":
        wave = voice()
        wave[100] = np.nan
        soundfile.write(bad, wave, 16000, subtype="FLOAT")
    else:
        bad.write_bytes(b"\xff\xfb\x90\x64" + bytes(413) + b"\xff\xfb\x90\x64" + bytes(413))
    said_of_it, corpus = scored(edgebench, emodb.parent)
    assert NAMES[0] in said_of_it
    assert said.lower() in said_of_it.lower()
    assert corpus["left_out"]["unreadable"] == 1 and len(corpus["clips"]) == len(NAMES) - 1
    assert NAMES[0] in corpus["unreadable"][0]["id"]
    assert said.lower() in corpus["unreadable"][0]["reason"].lower()


@pytest.mark.board
def test_clips_at_48_khz_are_scored_where_it_is_asked_for_and_the_record_says_by_what(
    edgebench: Edgebench, emodb: Path
) -> None:
    def at_48_khz(path: Path) -> None:
        soundfile.write(path, voice(rate=48000), 48000, subtype="PCM_16")

    spoil_all(emodb, at_48_khz)
    refused(edgebench, emodb.parent, "48000", "--resample")
    result = edgebench(
        "run", "--suite", "quick.toml", "--corpus", f"emodb={emodb.parent}", "--include-seen", "--resample"
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    header = json.loads((edgebench.store / "records.jsonl").read_text().splitlines()[0])
    (corpus,) = header["corpora"]
    assert corpus["converted"]["sample_rates_hz"] == {"48000": 4}
    assert corpus["converted"]["resampler"].startswith("soxr ")
    assert "4 clips were converted to mono at 16 kHz (4 from 48000 Hz) by soxr" in " ".join(
        result.stdout.split()
    )


def test_24_bit_is_read_exactly(edgebench: Edgebench, emodb: Path) -> None:
    soundfile.write(emodb / f"{NAMES[0]}.wav", voice(), 16000, subtype="PCM_24")
    said, corpus = scored(edgebench, emodb.parent)
    assert NAMES[0] not in said
    assert corpus["left_out"]["unreadable"] == 0 and len(corpus["clips"]) == len(NAMES)


def test_no_clip(edgebench: Edgebench, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    refused(edgebench, tmp_path / "nothing", "nothing")


def test_no_folder(edgebench: Edgebench, tmp_path: Path) -> None:
    refused(edgebench, tmp_path / "absent", "absent")


def test_one_speaker(edgebench: Edgebench, emodb: Path) -> None:
    for name in NAMES[1:]:
        (emodb / f"{name}.wav").rename(emodb / f"{NAMES[0][:2]}{name[2:]}.wav")
    refused(edgebench, emodb.parent, "one speaker")


def test_unknown_corpus_names_the_nearest(edgebench: Edgebench, tmp_path: Path) -> None:
    edgebench.refuses("run", "--corpus", f"emodbb={tmp_path}", status=2, says=["emodbb", "emodb"])


def test_corpus_without_a_folder(edgebench: Edgebench) -> None:
    edgebench.refuses("run", "--corpus", "emodb", status=2, says=["NAME=PATH"])
