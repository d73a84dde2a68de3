"""``edgebench corpora check`` as its own process: recognised, reported, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.cli import Edgebench

NAMES = ("03a01Wa", "03a01Fa", "08a01Na", "08a01Ta")


@pytest.fixture
def emodb(tmp_path: Path) -> Path:
    """Four clips of two speakers, one of each emotion, each with a sound of its own."""
    (tmp_path / "emodb" / "wav").mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        sound = np.random.default_rng(seed).uniform(-0.5, 0.5, 8000)
        soundfile.write(tmp_path / "emodb" / "wav" / f"{name}.wav", sound, 16_000, subtype="PCM_16")
    return tmp_path / "emodb"


def test_a_sound_corpus_is_reported_without_warnings(edgebench: Edgebench, emodb: Path) -> None:
    result = edgebench.here("corpora", "check", str(emodb))
    assert result.returncode == 0, result.stderr
    assert "Berlin Database of Emotional Speech" in result.stdout
    assert "4, of which usable 4" in result.stdout
    assert "anger 1, happiness 1, neutral 1, sadness 1" in result.stdout
    assert "warning" not in result.stdout + result.stderr


def test_json_is_on_stdout_alone_and_warnings_are_words_on_stderr(edgebench: Edgebench, emodb: Path) -> None:
    (emodb / "wav" / "03a01Wa.wav").write_bytes(b"")
    result = edgebench.here("corpora", "check", str(emodb), "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["name"], found["clips"], found["usable"]) == ("emodb", 4, 3)
    assert found["unreadable"][0]["id"] == "03a01Wa"
    assert found["speakers"]["08"]["clips"] == 2
    assert found["warnings"][0] in " ".join(result.stderr.split())


def test_unreadable_clips_are_a_warning_and_exit_0(edgebench: Edgebench, emodb: Path) -> None:
    (emodb / "wav" / "03a01Wa.wav").write_bytes(b"")
    result = edgebench.here("corpora", "check", str(emodb))
    assert result.returncode == 0, result.stderr
    assert "unreadable 03a01Wa: " in result.stdout
    assert "is empty" in result.stdout


def test_nothing_usable_is_exit_4_after_the_report(edgebench: Edgebench, emodb: Path) -> None:
    for name in NAMES:
        sound = np.random.default_rng(len(name)).uniform(-0.5, 0.5, 8000)
        soundfile.write(emodb / "wav" / f"{name}.wav", sound, 48_000, subtype="PCM_16")
    result = edgebench.here("corpora", "check", str(emodb))
    assert result.returncode == 4
    assert "48000 Hz 4" in result.stdout
    assert "ffmpeg" in result.stdout
    assert "none of 4 clips can be used" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_what_is_no_corpus_is_exit_4_with_what_was_found(edgebench: Edgebench, tmp_path: Path) -> None:
    (tmp_path / "holidays").mkdir()
    (tmp_path / "holidays" / "beach.wav").write_bytes(b"")
    edgebench.refuses(
        "corpora",
        "check",
        str(tmp_path / "holidays"),
        status=4,
        says=["no known layout", "beach.wav", "--name"],
    )
    edgebench.refuses("corpora", "check", str(tmp_path / "absent"), status=4, says=["no such file"])


def test_a_named_layout_says_what_it_expects(edgebench: Edgebench, emodb: Path) -> None:
    says = ["iemocap", "dialog/EmoEvaluation", "found 'wav/'"]
    edgebench.refuses("corpora", "check", str(emodb), "--name", "iemocap", status=4, says=says)
    says = ["iemocab", "iemocap"]
    edgebench.refuses("corpora", "check", str(emodb), "--name", "iemocab", status=2, says=says)
