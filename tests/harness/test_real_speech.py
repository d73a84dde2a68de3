"""Accuracy on real held-out speech, predicted on the far side of a real SSH connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.cli import Edgebench
from support.few_clips import every_second_clip, few_of_emodb
from support.sshd import SshServer

from edgebench.corpora import packaged_split, read_corpus
from edgebench.models import load_artifact

pytestmark = [pytest.mark.ssh, pytest.mark.corpora, pytest.mark.board]

CORPORA = ("emodb", "ravdess", "nemo")
FP32, OLDER = "wav2small.fp32", "wav2small.int8_static"
# What an int8 file may lose against fp32 on the same clips of a corpus; one clip of EmoDB is .023 of UA.
MOST_LOST = {OLDER: 0.01, "wav2small.packed_mixed_int8": 0.03, "wav2small.packed_ternary_int8": 0.06}

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


def measure(
    edgebench: Edgebench, ssh_server: SshServer, corpora: Mapping[str, Path], *more: str
) -> list[dict[str, Any]]:
    edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(ssh_server.config_path)}
    (edgebench.folder / "speech.toml").write_text(OFFLINE_SUITE)
    folders = [word for name, root in corpora.items() for word in ("--corpus", f"{name}={root}")]
    result = edgebench(
        "run", "--device", "rpi4", "--force", "--offline", "--suite", "speech.toml", *folders, "--json", *more
    )
    assert result.returncode == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)["records"]
    return found


def row_of(rows: list[dict[str, Any]], artifact: str, corpus: str) -> dict[str, Any]:
    return next(row for row in rows if row["artifact"] == artifact and row["corpus"]["name"] == corpus)


def test_held_out_speakers_alone_are_scored_and_int8_keeps_its_accuracy(
    edgebench: Edgebench, ssh_server: SshServer, corpora_root: Path, tmp_path: Path
) -> None:
    corpora = {name: every_second_clip(corpora_root / name, tmp_path / name) for name in CORPORA}
    models = [word for key in (FP32, *MOST_LOST) for word in ("--model", key)]
    rows = measure(edgebench, ssh_server, corpora, *models)
    split = packaged_split("wav2small")
    for corpus in CORPORA:
        clips = [clip for clip in read_corpus(corpus, corpora[corpus]) if clip.emotion]
        seen = {*split.corpora[corpus]["train"], *split.corpora[corpus]["validation"]}
        left_out = sum(clip.speaker in seen for clip in clips)
        assert left_out > 0
        for artifact in (FP32, *MOST_LOST):
            row = row_of(rows, artifact, corpus)
            assert row["corpus"]["left_out"]["seen_speaker"] == left_out
            assert row["corpus"]["n_clips"] == len(clips) - left_out
            assert row["corpus"]["n_speakers"] == len(split.corpora[corpus]["test"])
            assert row["corpus"]["seen_in_training"] == 0
            assert row["corpus"]["label_source"] == "prototype"
            ua = row["metrics"]["ua"]
            if row["corpus"]["n_speakers"] < 5:
                assert ua["lo"] is None and "an interval needs 5" in ua["reason"]
            else:
                assert ua["lo"] <= ua["value"] <= ua["hi"]
            # Chance is a quarter: these nets are small, and still no coin.
            assert ua["value"] > 0.35, (artifact, corpus, ua)
        for artifact, most in MOST_LOST.items():
            lost = {
                name: figure["value"]
                for name, figure in row_of(rows, artifact, corpus)["metrics"].items()
                if name.endswith("_loss") and name.startswith(("ua", "ccc"))
            }
            assert len(lost) == 4
            assert {name: value for name, value in lost.items() if value > most} == {}, (artifact, corpus)


def test_figures_of_speakers_seen_in_training_are_marked(
    edgebench: Edgebench, ssh_server: SshServer, corpora_root: Path, tmp_path: Path
) -> None:
    corpus = "emodb"
    few = few_of_emodb(corpora_root / corpus, tmp_path / corpus, ("03", "09", "12"))  # 09 is a test speaker
    rows = measure(edgebench, ssh_server, {corpus: few}, "--include-seen", "--model", FP32)
    clips = [clip for clip in read_corpus(corpus, few) if clip.emotion]
    row = row_of(rows, FP32, corpus)
    assert row["corpus"]["n_clips"] == len(clips)
    assert row["corpus"]["left_out"]["seen_speaker"] == 0
    manifest = load_artifact(FP32).manifest
    assert manifest is not None
    seen = manifest.seen_speakers(corpus)
    assert 0 < row["corpus"]["seen_in_training"] == sum(clip.speaker in seen for clip in clips) < len(clips)
    shown = edgebench.here("report", "last")
    assert "seen in training" in shown.stdout.lower()
