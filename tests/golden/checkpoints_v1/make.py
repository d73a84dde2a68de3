"""Makes the files of this folder; run with the code of the commit that they are to be of.

    git archive fa2095f | tar x -C OLD
    cd tests/golden/checkpoints_v1 && PYTHONPATH=OLD:OLD/tests:OLD/tests/training python make.py

Each run of ``runs.json`` is made twice through the public :func:`edgebench.training.train`: once stopped by
SIGINT after ``stop_after`` steps (counted over all folds), which leaves what is kept here, and once to the
end, of which ``expected.json`` keeps the curves and one projection of every tensor.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from distil_tiny import tiny_teacher
from support import tiny_hubert
from support.fold_corpora import write_iemocap

from edgebench.corpora import Split, write_split
from edgebench.errors import Interrupted
from edgebench.models.architectures import ARCHITECTURES, wav2small
from edgebench.training import train

HERE = Path(__file__).parent
MEASURED = ("data_wait_share", "steps_per_s")
SPLIT = Split(
    "tiny", {"synthetic": {"train": ("v03", "v04"), "validation": ("v02",), "test": ("v01", "v05")}}
)


def small_nets() -> None:
    """Two channels instead of thirteen, so that a checkpoint is small; every tensor keeps its name."""
    wav2small.CHANNELS, wav2small.WIDTH = 2, 2 * wav2small.MELS_AFTER_POOL
    ARCHITECTURES[tiny_hubert.NAME] = tiny_hubert.PLACE


def projections(tensors: dict[str, torch.Tensor]) -> dict[str, float]:
    """Each tensor's product with a fixed random vector of its size: a change anywhere moves it."""
    return {
        name: float(
            np.random.default_rng(0).standard_normal(tensor.numel()) @ tensor.double().numpy().ravel()
        )
        for name, tensor in tensors.items()
        if isinstance(tensor, torch.Tensor)
    }


def end_of(folder: Path) -> dict[str, object]:
    """What a finished training left: rows of its curves without what is measured, and its weights."""
    rows = [json.loads(line) for line in (folder / "curves.jsonl").read_text().splitlines()]
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    return {
        "curves": [{k: v for k, v in row.items() if k not in MEASURED} for row in rows],
        "model": projections(state["model"]),
        "best": projections(state["best"]),
    }


def stop_after(steps: int):
    """A listener that interrupts this process at the given call of it."""
    calls = itertools.count(1)
    return lambda progress: os.kill(os.getpid(), signal.SIGINT) if next(calls) == steps else None


def main() -> None:
    small_nets()
    write_split(SPLIT, HERE / "split.json")
    tiny_teacher(HERE / "teacher.onnx", emotions=True)
    os.chdir(HERE)
    expected = {}
    with tempfile.TemporaryDirectory() as scratch:
        corpora = {"distilhubert_loso": {"iemocap": write_iemocap(Path(scratch) / "iemocap")}}
        for name, run in json.loads((HERE / "runs.json").read_text()).items():
            given = {"corpora": corpora.get(name, {}), "overrides": run["overrides"]}
            kept, whole = HERE / name, Path(scratch) / name
            shutil.rmtree(kept, ignore_errors=True)
            try:
                train(run["recipe"], output=kept, notify=stop_after(run["stop_after"]), **given)
                sys.exit(f"{name} was not stopped")
            except Interrupted:
                pass
            for path in list(kept.rglob("tensorboard")):
                shutil.rmtree(path)
            for fold in [path.parent for path in kept.rglob("fold.json")]:
                (fold / "checkpoint.pt").unlink()  # what is finished needs it no more
            train(run["recipe"], output=whole, **given)
            expected[name] = {
                str(path.parent.relative_to(whole)): end_of(path.parent)
                for path in sorted(whole.rglob("checkpoint.pt"))
            }
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
