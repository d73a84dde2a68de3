"""A run that is killed, stopped or out of space goes on as if nothing had happened, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
pytest.importorskip("tensorboard", reason="training needs tensorboard: pip install edgebench[train]")
from killed_runs import EVERY, OPTIONS, STEPS, WAYS, score  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402
from tiny_run import tiny_trainer  # noqa: E402

from edgebench.errors import Interrupted, StoreError  # noqa: E402
from edgebench.training.loop.checkpoint import CHECKPOINT, CURVES  # noqa: E402
from edgebench.training.loop.pace import MEASURED  # noqa: E402
from edgebench.training.loop.tensorboard import FILE, FOLDER, BoardFile  # noqa: E402

pytestmark = pytest.mark.train
HERE = Path(__file__).parent


def left_behind(folder: Path) -> dict:
    """Everything that a run leaves, without what is measured."""
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    rows = [json.loads(line) for line in (folder / CURVES).read_text().splitlines()]
    state["curves"] = rows
    for row in [*rows, *state["history"]["rows"]]:
        for name in MEASURED:
            row.pop(name)
    return state


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard reads: steps and values by tag."""
    read = EventAccumulator(str(folder / FOLDER)).Reload()
    return {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    tiny_trainer(folder, *OPTIONS, validate=score).run()
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> tuple[Path, list[dict]]:
    """A run killed ten times, and how each child ended."""
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, HERE / "killed_runs.py", folder, "20261120"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.long
def test_a_run_killed_ten_times_is_the_unbroken_one_bit_for_bit(unbroken, killed):
    folder, ends = killed
    assert [end["status"] for end in ends] == [-signal.SIGKILL] * len(WAYS) + [0], ends
    assert len(WAYS) == 10
    assert len({end["step"] for end in ends}) >= 5, ends  # it did get on in between
    assert ends[-1]["step"] == STEPS
    assert equal(left_behind(folder), left_behind(unbroken))


def test_the_comparison_sees_one_bit(unbroken):
    changed, same = left_behind(unbroken), left_behind(unbroken)
    assert equal(changed, same)
    changed["optimiser"]["state"][0]["exp_avg"].view(torch.int32).flatten()[0] ^= 1
    assert not equal(changed, same)


@pytest.mark.long
def test_tensorboard_reads_the_curves_and_no_step_twice(unbroken, killed):
    folder, _ = killed
    rows = [json.loads(line) for line in (folder / CURVES).read_text().splitlines()]
    found = scalars(folder)
    assert set(found) == {
        "training/loss", "training/learning_rate", "training/data_wait_share", "training/steps_per_s",
        "validation/score",
    }  # fmt: skip
    for tag, points in found.items():
        assert [step for step, _ in points] == list(range(EVERY, STEPS + 1, EVERY)), tag
        column = [row[tag.partition("/")[2]] for row in rows]
        assert [value for _, value in points] == pytest.approx(column, rel=1e-6), tag
    for tag in ("training/loss", "training/learning_rate", "validation/score"):
        assert found[tag] == scalars(unbroken)[tag]
    assert [path.name for path in (folder / FOLDER).iterdir()] == [FILE]


def test_a_diverged_loss_leaves_a_gap_in_tensorboard(tmp_path):
    BoardFile(tmp_path).write([{"step": 1, "loss": float("nan"), "score": 0.5}, {"step": 2, "loss": 1.0}])
    assert scalars(tmp_path) == {"training/loss": [(2, 1.0)], "validation/score": [(1, 0.5)]}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_saves_first_and_goes_on_exactly(unbroken, tmp_path, capsys, number):
    before = signal.getsignal(number)

    def stop(progress):
        if progress.step == 7:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted, match=r"stopped at step \d+, with a checkpoint in") as stopped:
        tiny_trainer(tmp_path, *OPTIONS, validate=score).run(notify=stop)
    assert stopped.value.exit_code == 130
    assert signal.getsignal(number) is before
    assert "stopping after this step" in capsys.readouterr().err
    resumed = tiny_trainer(tmp_path, *OPTIONS, validate=score)
    assert resumed.resume() and resumed.history.step == 7
    resumed.run()
    assert equal(left_behind(tmp_path), left_behind(unbroken))


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    seen = []

    def stop(progress):
        seen.append(progress.step)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        tiny_trainer(tmp_path, *OPTIONS, validate=score).run(notify=stop)
    assert seen == [1] and not (tmp_path / CHECKPOINT).exists()


def test_another_thread_trains_without_touching_signals(tmp_path):
    found = []

    def run():
        trainer = tiny_trainer(tmp_path, *OPTIONS, validate=score)
        trainer.run(stop_after=2, notify=lambda p: found.append(signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [before, before]


def test_a_full_file_system_keeps_the_last_good_checkpoint(unbroken, small_disk):
    folder = small_disk / "run"
    tiny_trainer(folder, *OPTIONS, validate=score).run(stop_after=4)
    good = (folder / CHECKPOINT).read_bytes()
    with (small_disk / "filler").open("wb") as filler, pytest.raises(OSError):
        while True:
            filler.write(bytes(100_000))
            filler.flush()
    again = tiny_trainer(folder, *OPTIONS, validate=score)
    again.resume()
    with pytest.raises(StoreError, match=r"checkpoint.pt could not be written .*earlier one is still there"):
        again.run()
    assert (folder / CHECKPOINT).read_bytes() == good
    assert not list(folder.glob("*.part*"))
    (small_disk / "filler").unlink()
    after = tiny_trainer(folder, *OPTIONS, validate=score)
    assert after.resume() and after.history.step == 4
    after.run()
    assert equal(left_behind(folder), left_behind(unbroken))


def test_a_file_that_may_not_grow_keeps_the_last_good_checkpoint(tmp_path):
    """A limit on the size of a file stands for the full disk, where none can be mounted."""
    tiny_trainer(tmp_path, *OPTIONS, validate=score).run(stop_after=4)
    good = (tmp_path / CHECKPOINT).read_bytes()
    script = """
import resource, signal, sys
from pathlib import Path
from killed_runs import OPTIONS, score
from tiny_run import tiny_trainer
from edgebench.errors import StoreError
trainer = tiny_trainer(Path(sys.argv[1]), *OPTIONS, validate=score)
trainer.resume()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    trainer.run()
except StoreError as error:
    print(error)
    sys.exit(error.exit_code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path, str(len(good) // 2)],
        env={**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert "earlier one is still there" in done.stdout and "--resume" in done.stdout
    assert (tmp_path / CHECKPOINT).read_bytes() == good
    assert not list(tmp_path.glob("*.part*"))


def test_tensorboards_file_on_a_full_disk_is_a_store_error(tmp_path):
    (tmp_path / FOLDER).mkdir()
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("no /dev/full here")
    (tmp_path / FOLDER / FILE).symlink_to("/dev/full")
    with pytest.raises(StoreError, match=r"No space left.*the checkpoint is whole"):
        BoardFile(tmp_path).write([{"step": 1, "loss": 1.0}])
