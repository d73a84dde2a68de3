"""Runs that an older version was stopped in go on under this one, and end as they would have there."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
pytest.importorskip("transformers", reason="training needs transformers: pip install edgebench[train]")
pytest.importorskip("audiomentations", reason="training needs audiomentations: pip install edgebench[train]")
from support import tiny_hubert  # noqa: E402
from support.fold_corpora import write_iemocap  # noqa: E402

from edgebench.models.architectures import ARCHITECTURES, wav2small  # noqa: E402
from edgebench.training import run, train  # noqa: E402

pytestmark = pytest.mark.train

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoints_v1"
RUNS = json.loads((GOLDEN / "runs.json").read_text())
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())

# The bias of a softmax over time changes no answer: its gradient is rounding alone, which AdamW scales up.
IDLE = ("sof.bias",)

_spec = importlib.util.spec_from_file_location("golden_checkpoints", GOLDEN / "make.py")
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


@pytest.fixture
def resumed(tmp_path, monkeypatch):
    """Resume a copy of a golden run to its end; artifacts are not made. Gives its folder and its steps."""
    monkeypatch.setitem(ARCHITECTURES, tiny_hubert.NAME, tiny_hubert.PLACE)
    monkeypatch.setattr(wav2small, "CHANNELS", 2)
    monkeypatch.setattr(wav2small, "WIDTH", 2 * wav2small.MELS_AFTER_POOL)
    monkeypatch.setattr(run, "produce", lambda *args, **options: None)
    monkeypatch.chdir(GOLDEN)

    def go_on(name: str) -> tuple[Path, list[int]]:
        folder, steps = tmp_path / name, []
        shutil.copytree(GOLDEN / name, folder)
        corpora = {}
        if name == "distilhubert_loso":
            corpora["iemocap"] = write_iemocap(tmp_path / "iemocap")
        train(
            RUNS[name]["recipe"],
            corpora=corpora,
            output=folder,
            overrides=RUNS[name]["overrides"],
            resume=True,
            notify=lambda progress: steps.append(progress.step),
        )
        return folder, steps

    return go_on


def assert_same_end(folder: Path, expected: dict) -> None:
    """To what another processor rounds otherwise, which every step carries on."""
    found = make.end_of(folder)
    assert len(found["curves"]) == len(expected["curves"])
    for row, before in zip(found["curves"], expected["curves"], strict=True):
        assert row == pytest.approx(before, rel=1e-3, abs=1e-4)
    for part in ("model", "best"):
        for name in IDLE:
            found[part].pop(name, None), expected[part].pop(name, None)
        assert found[part] == pytest.approx(expected[part], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("name", ["wav2small", "wav2small_distill"])
def test_a_stopped_run_goes_on_to_the_end_of_the_unbroken_one(resumed, name):
    folder, steps = resumed(name)
    assert steps == list(range(RUNS[name]["stop_after"] + 1, 9))
    assert_same_end(folder, EXPECTED[name]["."])


def test_stopped_folds_go_on_and_the_finished_one_is_kept(resumed):
    name = "distilhubert_loso"
    folder, steps = resumed(name)
    first, second, third = sorted(EXPECTED[name])
    assert len(EXPECTED[name][first]["curves"]) == 3
    assert steps == [4, 5, 6, 1, 2, 3, 4, 5]  # the second fold from its fourth step, then the third
    kept = [
        (folder / first / file, GOLDEN / name / first / file) for file in ("fold.json", "predictions.json")
    ]
    assert all(now.read_bytes() == before.read_bytes() for now, before in kept)
    for fold in (second, third):
        assert_same_end(folder / fold, EXPECTED[name][fold])
    assert [fold["split"] for fold in json.loads((folder / "run.json").read_text())["folds"]] == [
        first,
        second,
        third,
    ]


def test_a_run_that_is_not_taken_up_ends_elsewhere(resumed, monkeypatch):
    """What the comparison can see: an optimiser that starts anew in the middle."""
    monkeypatch.setattr(torch.optim.AdamW, "load_state_dict", lambda self, state: None)
    folder, _ = resumed("wav2small")
    with pytest.raises(AssertionError):
        assert_same_end(folder, EXPECTED["wav2small"]["."])
