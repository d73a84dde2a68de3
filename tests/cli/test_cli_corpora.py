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


def test_another_rate_is_converted_where_it_is_asked_for(edgebench: Edgebench, emodb: Path) -> None:
    for seed, name in enumerate(NAMES):
        sound = np.random.default_rng(seed).uniform(-0.5, 0.5, 24_000)
        soundfile.write(emodb / "wav" / f"{name}.wav", sound, 48_000, subtype="PCM_16")
    result = edgebench.here("corpora", "check", str(emodb), "--resample", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["usable"], found["sample_rates_hz"], found["to_convert"]) == (4, {"48000": 4}, 0)
    assert found["converted"]["resampler"].startswith("soxr ")
    assert len(list((edgebench.folder / "cache" / "edgebench" / "resampled").rglob("*.w64"))) == 4
    result = edgebench.here("corpora", "check", str(emodb), "--resample")
    assert "4 from 48000 Hz" in " ".join(result.stdout.replace("│", " ").split())


def test_a_part_is_chosen_behind_the_path(edgebench: Edgebench, emodb: Path) -> None:
    rows = [f"wav/{name}.wav,{name[:2]},anger,{'dev' if name.startswith('03') else 'test'}" for name in NAMES]
    (emodb / "mine.csv").write_text("\n".join(["file,speaker,emotion,split", *rows]))
    found = edgebench.here("corpora", "check", f"{emodb / 'mine.csv'}#partition=test", "--json")
    assert json.loads(found.stdout)["partitions"] == {"test": 2}
    told = edgebench.here("corpora", "check", f"{emodb / 'mine.csv'}#partition=train")
    assert (told.returncode, "Known: dev, test" in told.stderr) == (4, True)
    told = edgebench.here("corpora", "check", f"{emodb / 'mine.csv'}#part=train")
    assert (told.returncode, "'partition'" in told.stderr) == (2, True)


def test_pointers_of_git_lfs_are_told_once(edgebench: Edgebench, emodb: Path) -> None:
    for name in NAMES:
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{name}\nsize 5\n"
        (emodb / "wav" / f"{name}.wav").write_text(pointer)
    result = edgebench.here("corpora", "check", str(emodb))
    assert result.returncode == 4
    assert result.stdout.count("unreadable") == 1
    assert "git lfs pull" in result.stdout
    assert "3 more clips for the same reason" in result.stdout


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
