"""A process that starts the tiny run again and again in children of its own, and has them killed.

    python killed_runs.py FOLDER SEED

Each child takes up what the last one left and is ended by SIGKILL: at a step, at a moment, or in the
middle of writing a file. The last child is left to finish. Children are forks, so that a dozen of them
cost one import of torch. Prints how each ended, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import torch
from tiny_run import tiny_trainer

from edgebench.training.loop import checkpoint
from edgebench.training.loop import tensorboard as board_files

STEPS, EVERY = 28, 2
OPTIONS = (
    f"optimiser.steps={STEPS}",
    f"validation.every_steps={EVERY}",
    "optimiser.batch=2",
    "data.crop_s=0.1",
    "model.dropout=0.3",
)
# Where a run is killed, by what: ten times, in this order, at steps and moments that the seed draws.
WAYS = (
    "step", "writing checkpoint", "moment", "step", "before curves", "moment", "writing tensorboard",
    "step", "moved not", "moment",
)  # fmt: skip


def score(model: torch.nn.Module) -> dict[str, float]:
    """A validation that depends on the weights and on nothing else."""
    return {"score": float(sum(p.detach().double().abs().sum() for p in model.parameters()))}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(way: str, countdown: int) -> None:
    """Make the ``countdown``-th use of a writer the last thing that this process does."""
    left = [countdown]

    def last_time() -> bool:
        left[0] -= 1
        return left[0] <= 0

    if way == "writing checkpoint":
        save = torch.save

        def half(values, path):
            save(values, path)
            if last_time():
                whole = Path(path).read_bytes()
                Path(path).write_bytes(whole[: len(whole) // 2])
                die()

        torch.save = half
    elif way == "moved not":
        replace = Path.replace

        def never(self, target):
            if str(target).endswith(checkpoint.CHECKPOINT) and last_time():
                die()
            return replace(self, target)

        Path.replace = never
    elif way == "before curves":
        write = checkpoint.write_curves
        from edgebench.training.loop import loop as trainer

        trainer.write_curves = lambda *given: die() if last_time() else write(*given)
    elif way == "writing tensorboard":
        event = board_files._event

        def torn(row):
            if last_time():
                with (FOLDER / board_files.FOLDER / board_files.FILE).open("ab") as file:
                    file.write(b"half a record")
                die()
            return event(row)

        board_files._event = torn


def child(way: str | None, draw: random.Random, ready: int) -> None:
    trainer = tiny_trainer(FOLDER, *OPTIONS, validate=score)
    trainer.resume()
    last = trainer.history.step + draw.randint(2, 5)

    def notify(progress) -> None:
        if way == "step" and progress.step == last:
            die()
        if way == "moment":
            time.sleep(0.04)  # so that a few steps pass before the moment has come

    if way is not None:
        arm(way, draw.randint(1, 2))
    os.write(ready, b"!")
    trainer.run(notify=notify)


def step_of() -> int | None:
    path = FOLDER / checkpoint.CHECKPOINT
    return torch.load(path, weights_only=True)["history"]["step"] if path.exists() else None


def main() -> None:
    draw = random.Random(int(sys.argv[2]))
    tiny_trainer(FOLDER / "never", *OPTIONS)  # what the children need is made once, and inherited
    ends = []
    for number, way in enumerate([*WAYS, None]):
        seed = draw.random()
        started, ready = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                child(way, random.Random(seed), ready)
                os._exit(0)
            finally:
                os._exit(1)
        os.read(started, 1)
        if way == "moment":
            time.sleep(random.Random(seed).uniform(0.0, 0.15))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        ends.append(
            {"number": number, "way": way, "status": os.waitstatus_to_exitcode(status), "step": step_of()}
        )
    print(json.dumps(ends))


if __name__ == "__main__":
    FOLDER = Path(sys.argv[1])
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    main()
