"""One process is the plain loop; two processes divide its batches and end with the same weights."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
pytest.importorskip("accelerate", reason="training needs accelerate: pip install edgebench[train]")
from distil_tiny import tiny_distiller, tiny_teacher  # noqa: E402
from tiny_run import tiny_trainer  # noqa: E402

from edgebench.errors import ConfigError  # noqa: E402
from edgebench.training.distillation.losses import quadrant_correction  # noqa: E402
from edgebench.training.loop import losses  # noqa: E402
from edgebench.training.loop.batches import OwnRows  # noqa: E402
from edgebench.training.loop.loop import Loop  # noqa: E402
from edgebench.training.loop.processes import OnDevice, Processes  # noqa: E402

pytestmark = pytest.mark.train
HERE = Path(__file__).parent
STEPS = 5
TOLERANCE = 0.01  # of the farthest that a weight of a tensor moved: sums are taken in another order
# No masks: the plain loop below reads the front end's maps as they are.
TRAIN = (f"optimiser.steps={STEPS}", "augment.mel_masks=0", "augment.time_masks=0", "compute.bf16=false")
# Plain SGD: Adam would forgive a gradient that is a multiple of the right one.
DISTIL = (f"optimiser.steps={STEPS}", "optimiser.learning_rate=0.001", "optimiser.clip_norm=0.0")


def labels_loss(trainer, rows, adv, logits):
    """Cross-entropy and concordance of the whole batch; the shares' rows are laid one after the other."""
    smoothing = trainer.recipe.loss.smoothing
    truth = np.concatenate([share.emotions for share in rows]) * (1 - smoothing) + smoothing / 4
    weights = torch.from_numpy(np.concatenate([share.weights for share in rows]))
    nats = -(torch.from_numpy(truth) * logits.log_softmax(1)).sum(1)
    emotion = (weights * nats).sum() / (weights.sum() + 1e-8)
    dimensional = losses.ccc_loss(torch.from_numpy(np.concatenate([share.adv for share in rows])), adv)
    return 1.0 * emotion + 0.5 * dimensional


def teachers_loss(distiller, rows, adv, logits):
    truth = torch.from_numpy(np.concatenate([share.adv for share in rows]))
    return 100.0 * losses.ccc_loss(truth, adv) + 4.0 * quadrant_correction(truth, adv, neutral=0.5)


def plain_loop(loop: Loop, shares: int, loss_of: Callable) -> dict[str, torch.Tensor]:
    """What a run of ``loop`` must end with, written out: no prefetching, no gathering, no accelerate.

    Each share is normalised by its own statistics; the running ones are their mean.
    """
    schedule, seed, model = loop.recipe.optimiser, loop.recipe.seed, loop.model
    size = schedule.batch // shares
    decays = getattr(schedule, "algorithm", "adamw") == "adamw"
    decayed = [p for p in model.parameters() if p.ndim > 1 and p.requires_grad]
    others = [p for p in model.parameters() if p.ndim <= 1 and p.requires_grad]
    groups = [
        {"params": decayed, "weight_decay": schedule.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups) if decays else torch.optim.SGD(groups)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    model.train()
    for step in range(STEPS):
        if step < schedule.warmup_steps:
            ratio = (step + 1) / schedule.warmup_steps
        else:
            done = (step - schedule.warmup_steps) / (STEPS - schedule.warmup_steps)
            ratio = schedule.final_ratio + (1.0 - schedule.final_ratio) * 0.5 * (
                1 + float(np.cos(np.pi * done))
            )
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate * ratio
        if shares == 1:
            rows = [loop.data.batch(step)]
        else:
            rows = [loop.data.rows(step, range(s * size, (s + 1) * size)) for s in range(shares)]
        before = [{name: s.clone() for name, s in norm.named_buffers()} for norm in norms]
        answers, after = [], []
        for number, share in enumerate(rows):
            for norm, statistics in zip(norms, before, strict=True):
                for name, statistic in statistics.items():
                    setattr(norm, name, statistic.clone())
            draws = [seed, 4, step, number] if number else [seed, 4, step]  # stream 4 is dropout's
            torch.manual_seed(int(np.random.default_rng(draws).integers(2**62)))
            answers.append(model.classify(model.features(torch.from_numpy(share.waveforms))))
            after.append([(norm.running_mean, norm.running_var) for norm in norms])
        for number, norm in enumerate(norms):
            norm.running_mean = sum(found[number][0] for found in after) / shares
            norm.running_var = sum(found[number][1] for found in after) / shares
        adv, logits = (
            torch.cat([answer[name] for answer in answers])
            for name in ("arousal_dominance_valence", "emotion_logits")
        )
        optimiser.zero_grad()
        loss_of(loop, rows, adv, logits).backward()
        if schedule.clip_norm:
            torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip_norm)
        optimiser.step()
    return model.state_dict()


def test_one_process_is_a_plain_loop_bit_for_bit(tmp_path):
    trainer = tiny_trainer(tmp_path, *TRAIN, "model.dropout=0.3")
    trainer.run()
    plain = plain_loop(tiny_trainer(tmp_path / "plain", *TRAIN, "model.dropout=0.3"), 1, labels_loss)
    found = trainer.model.state_dict()
    assert all(torch.equal(found[name], plain[name]) for name in plain)


SCRIPT = """
import atexit, json, sys, torch
from pathlib import Path
# Registered first, so called last: what is left when all that the training registered has run.
atexit.register(lambda: print("joined:", torch.distributed.is_initialized()))
sys.path.insert(0, sys.argv[1])
import distil_tiny, tiny_run
for kind, run in json.loads(sys.argv[2]).items():
    folder, judged = Path(run["folder"]), []
    def validate(model):
        judged.append(1)
        return {"score": len(judged) / 10}
    def made():
        if kind == "teacher":
            return distil_tiny.tiny_distiller(run["teacher"], folder, *run["options"], validate=validate)
        return tiny_run.tiny_trainer(folder, *run["options"], validate=validate)
    made().run(stop_after=3)
    loop = made()
    assert loop.resume() and loop.history.step == 3
    loop.run()
    assert loop.processes.count == 2 and loop.history.best_score is not None
    assert len(judged) == (3 if loop.processes.is_main else 0), judged
    torch.save({**loop.model.state_dict(), "mean.loss": torch.tensor(loop.history.loss)},
               folder / f"process{loop.processes.index}.pt")
"""


def two_processes(*command: str) -> list[subprocess.CompletedProcess[str]]:
    """Start Python twice, as torchrun would; wait for both."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    common = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ended = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        ended.append(subprocess.CompletedProcess(command, process.returncode, out, err))
    return ended


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """By kind: the folder, teacher and options of a run, which two processes stopped and resumed."""
    folder = tmp_path_factory.mktemp("two")
    runs = {
        "labels": {"teacher": "", "options": (*TRAIN, "model.dropout=0.3")},
        "teacher": {"teacher": str(tiny_teacher(folder / "t.onnx")), "options": DISTIL},
    }
    for kind, run in runs.items():
        run["folder"] = str(folder / kind)
    for ended in two_processes("-c", SCRIPT, str(HERE), json.dumps(runs)):
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.splitlines()[-1] == "joined: False"  # else gloo's threads may end it by SIGABRT
    return runs


@pytest.mark.parametrize("kind", ["labels", "teacher"])
@pytest.mark.long
def test_two_processes_are_the_plain_loop_over_both_shares(of_two, tmp_path, kind):
    folder, teacher, options = (of_two[kind][field] for field in ("folder", "teacher", "options"))
    first, second = (torch.load(f"{folder}/process{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    written = torch.load(f"{folder}/checkpoint.pt", weights_only=True)
    assert written["history"]["step"] == STEPS
    assert all(torch.equal(written["model"][name], first[name]) for name in written["model"])
    alone = (
        tiny_distiller(teacher, tmp_path / "p", *options)
        if teacher
        else tiny_trainer(tmp_path / "p", *options)
    )
    start = {name: value.clone() for name, value in alone.model.state_dict().items()}
    plain = plain_loop(alone, 2, teachers_loss if teacher else labels_loss)
    for name, value in plain.items():
        moved, expected = first[name].double() - start[name], value.double() - start[name]
        size = float(expected.abs().max())
        assert torch.allclose(moved, expected, rtol=0.0, atol=TOLERANCE * size), name


def test_a_row_is_the_same_whoever_makes_it(tmp_path):
    data = tiny_trainer(tmp_path).data
    whole, halves = data.rows(7, range(4)), [data.rows(7, range(2)), data.rows(7, range(2, 4))]
    for field, column in whole._asdict().items():
        assert np.array_equal(column, np.concatenate([getattr(half, field) for half in halves])), field
    assert len({row.tobytes() for row in whole.waveforms}) == 4
    assert not np.array_equal(whole.waveforms, data.rows(8, range(4)).waveforms)


def test_the_teacher_labels_a_share_alone(tmp_path):
    data = tiny_distiller(tiny_teacher(tmp_path / "t.onnx"), tmp_path).data
    whole, half = data.rows(3, range(4)), data.rows(3, range(2, 4))
    assert np.array_equal(whole.waveforms[2:], half.waveforms)
    assert np.allclose(whole.adv[2:], half.adv, atol=1e-6) and len(half.adv) == 2


def test_a_source_that_makes_whole_batches_is_cut(tmp_path):
    data = tiny_distiller(tiny_teacher(tmp_path / "t.onnx"), tmp_path).data

    class Whole:
        batch = staticmethod(data.batch)

    cut, made = OwnRows(Whole(), range(1, 3)).batch(2), data.batch(2)
    assert np.array_equal(cut.waveforms, made.waveforms[1:3]) and np.array_equal(cut.adv, made.adv[1:3])
    assert cut.logits is None


def test_a_batch_that_cannot_be_divided_is_refused():
    processes = Processes()
    processes.count, processes.index = 3, 2
    assert processes.rows(6) == range(4, 6)
    with pytest.raises(ConfigError, match=r"optimiser\.batch is 16, which 3 processes cannot divide evenly"):
        processes.rows(16)


def test_processes_that_nothing_connects_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(ConfigError, match="each would train alone, into the same folder"):
        tiny_trainer(tmp_path)


def test_a_validated_model_takes_and_gives_tensors_of_the_cpu():
    """The meta device stands for a GPU: tensors on it cannot meet tensors of the CPU."""

    class Net(torch.nn.Module):
        rate = 16_000

        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 2)

        def classify(self, maps):
            answer = self.linear(maps)
            return {"first": answer, "second": answer + 1}

    net = Net().double()
    seen = []
    net.linear.register_forward_pre_hook(lambda _, given: seen.append(given[0].device.type))
    home = OnDevice(net, torch.device("cpu"))
    given = torch.ones(1, 3, dtype=torch.float64)
    assert torch.equal(home.classify(given)["second"], net.classify(given)["first"] + 1)
    assert home.rate == 16_000
    away = OnDevice(net.to("meta"), torch.device("meta"))
    with pytest.raises(NotImplementedError):  # a meta tensor holds nothing that could come home
        away.classify(given)
    assert seen[-1] == "meta"
