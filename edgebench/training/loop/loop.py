"""The training loop: seeded, resumable to the bit, judged on the validation speakers alone.

One update is :meth:`Loop.step`; everything around it is bookkeeping. All randomness is drawn from
(seed, stream, step), so the state of a run is its weights, its optimiser and its history.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Generic, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgebench.errors import ConfigError, Interrupted, StoreError
from edgebench.models.architectures import build_architecture
from edgebench.models.layers.speech_net import SpeechNet
from edgebench.training.loop.batches import BatchSource, OwnRows, Prefetcher
from edgebench.training.loop.checkpoint import History, State, read_checkpoint, write_checkpoint, write_curves
from edgebench.training.loop.memory import keep_freed_memory
from edgebench.training.loop.optimiser import average_of, learning_rate_ratio
from edgebench.training.loop.pace import Pace
from edgebench.training.loop.processes import OnDevice, Processes
from edgebench.training.loop.stopping import stop_on_signals
from edgebench.training.loop.tensorboard import BoardFile
from edgebench.training.recipes.sections import LoopRecipe

_MASKS, _TORCH = 3, 4  # streams of the seed; 1 and 2 are the data's

# validate(model) -> {"score": mean UA, ...}: any numbers worth a column in the curves
Validate = Callable[[SpeechNet], dict[str, float]]

R = TypeVar("R", bound=LoopRecipe)
B = TypeVar("B")  # what one update is made on


@dataclass(frozen=True)
class Progress:
    """Where a run stands; ``loss`` is a running mean, ``best`` the best validation so far by ``score``.

    ``pace`` counts the steps since the run began or was resumed.
    """

    step: int
    steps: int
    loss: float
    best: float | None
    score: str = "UA"
    pace: Pace = field(default_factory=Pace)


class Loop(ABC, Generic[R, B]):
    """What every training has in common; ``output`` receives the checkpoint and the curves.

    A kind of training says what its optimiser is, what the loss of a batch is, and what binds a
    checkpoint to its run. The same loop runs in one process or in many, on a CPU or on GPUs; see
    :mod:`.processes`.
    """

    score: ClassVar[str] = "UA"  # what a validation's ``score`` is, in a word

    def __init__(self, recipe: R, data: BatchSource[B], validate: Validate, output: Path) -> None:
        self.recipe, self.data, self.validate, self.output = recipe, data, validate, output
        self.processes = Processes()
        self._rows = self.processes.rows(recipe.optimiser.batch)
        torch.set_num_threads(recipe.compute.threads)
        keep_freed_memory()
        torch.manual_seed(recipe.seed)
        start = {} if recipe.model.weights is None else {"weights": recipe.model.weights}
        self.model = build_architecture(recipe.architecture, dropout=recipe.model.dropout, **start)
        self._order = torch.channels_last if recipe.compute.channels_last else torch.contiguous_format
        self.model = self.model.to(self.processes.device, memory_format=self._order)  # type: ignore[call-overload]
        self.average = average_of(self.model, decay=recipe.optimiser.average_decay)
        self.optimiser = self.make_optimiser()
        self.history = History()
        self.best: dict[str, Tensor] | None = None
        self.pace, self._seen_pace = Pace(), Pace()
        self._board = BoardFile(output)

    @abstractmethod
    def make_optimiser(self) -> torch.optim.Optimizer:
        """The recipe's optimiser of ``self.model``."""

    @abstractmethod
    def loss(self, batch: B, rng: np.random.Generator) -> Tensor:
        """The recipe's loss of a batch; anything drawn is drawn from ``rng``.

        ``batch`` holds this process' rows (:meth:`tensor` puts them where the model is), and the loss is
        that of all rows: what it compares goes through :meth:`whole` first, and it has no other term.
        """

    @abstractmethod
    def identity(self) -> tuple[str, list[str]]:
        """The recipe as JSON, as far as it shapes the weights, and the names of the sounds in order."""

    def run(self, *, notify: Callable[[Progress], None] | None = None, stop_after: int | None = None) -> None:
        """Train to the end of the schedule, or until validation stopped improving.

        ``stop_after`` ends the loop after that many steps of this call, with a checkpoint. SIGINT and
        SIGTERM end it after the step that is being made, with a checkpoint and :class:`Interrupted`.
        """
        schedule, every = self.recipe.optimiser, self.recipe.validation.every_steps
        last = schedule.steps if stop_after is None else min(schedule.steps, self.history.step + stop_after)
        alone = self.processes.count == 1
        prefetcher = Prefetcher(self.data if alone else OwnRows(self.data, self._rows))
        if self._gave_up():
            last = self.history.step
        history, self.pace, self._seen_pace = self.history, Pace(), Pace()
        with stop_on_signals() as stop:
            for step, batch in prefetcher.batches(history.step, last):
                began, waited_s = time.perf_counter(), prefetcher.waited_s - self.pace.waited_s
                history.note(self.step(step, batch))
                self.pace.note(began=began, waited_s=waited_s)
                if history.step % every == 0 or history.step == schedule.steps:
                    self._validate()
                    self.save()
                if notify is not None and self.processes.is_main:
                    best = history.best_score
                    notify(Progress(history.step, schedule.steps, history.loss, best, self.score, self.pace))
                if self._gave_up():
                    break
                if self.processes.any(stop.asked):
                    self.save()
                    raise Interrupted(f"stopped at step {history.step}, with a checkpoint in {self.output}.")
        self.save()

    def step(self, step: int, batch: B) -> float:
        """One update on this process' rows of a batch; returns the loss of the whole batch."""
        clip_norm = self.recipe.optimiser.clip_norm
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate(step) * group.get("ratio", 1.0)
        torch.manual_seed(int(self._draws(_TORCH, step).integers(2**62)))
        self.model.train()
        gathered = self.processes.gathered
        loss = self.loss(batch, self._draws(_MASKS, step))
        if self.processes.count > 1 and self.processes.gathered == gathered:
            raise RuntimeError(f"{type(self).__name__}.loss compares rows that did not go through whole()")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.processes.add(p.grad for p in self.model.parameters() if p.grad is not None)
        self.processes.agree_on_statistics(self.model)
        if clip_norm > 0.0:
            nn.utils.clip_grad_norm_(self.model.parameters(), clip_norm)
        self.optimiser.step()
        self.average.update_parameters(self.model)
        return float(loss.detach())

    def learning_rate(self, step: int) -> float:
        """The schedule's rate of a step (0, 1, ...)."""
        schedule = self.recipe.optimiser
        return schedule.learning_rate * learning_rate_ratio(
            step, steps=schedule.steps, warmup_steps=schedule.warmup_steps, final_ratio=schedule.final_ratio
        )

    def tensor(self, rows: NDArray[np.float32]) -> Tensor:
        """The rows of an array on the device of the model."""
        return torch.from_numpy(rows).to(self.processes.device)

    def whole(self, rows: Tensor) -> Tensor:
        """The rows (share, ...) of every process, in the order of the batch; with one process ``rows``."""
        return self.processes.whole(rows)

    def autocast(self) -> torch.autocast:
        """bfloat16 where it serves, if the recipe asks for it."""
        return torch.autocast(
            self.processes.device.type, dtype=torch.bfloat16, enabled=self.recipe.compute.bf16
        )

    def in_order(self, maps: Tensor) -> Tensor:
        """Maps (batch, channels, frames, mels) in the memory order that the recipe computes in."""
        return maps.contiguous(memory_format=self._order)

    def best_model(self) -> SpeechNet:
        """The averaged model at the best validation (see ``validation.window``), in eval mode."""
        if self.best is None:
            raise ConfigError(
                f"the run in {self.output} was never validated, so it has no best model. "
                "Let it go on to its first validation, or lower validation.every_steps."
            )
        model = build_architecture(self.recipe.architecture)
        model.load_state_dict(self.best)
        return model.eval()

    def save(self) -> None:
        """Write the checkpoint, the curves and TensorBoard's file; only the main process does."""
        if not self.processes.is_main:
            return
        recipe, clips = self.identity()
        state = State(
            recipe=recipe,
            clips=clips,
            model=self.model.state_dict(),
            average=self.average.state_dict(),
            optimiser=self.optimiser.state_dict(),
            history=self.history,
            best=self.best,
        )
        write_checkpoint(self.output, state)
        write_curves(self.output, self.history.rows)
        self._board.write(self.history.rows)

    def resume(self) -> bool:
        """Go on from the checkpoint if there is one; refuse one of another recipe or of other clips."""
        self.processes.wait()  # the main process may still be writing what an earlier run() left
        recipe, clips = self.identity()
        state = read_checkpoint(self.output, recipe=recipe, clips=clips)
        found = None if state is None else state.history.step
        if self.processes.told_by_main({"step": found})["step"] != found:
            raise StoreError(
                f"process {self.processes.index} does not see the checkpoint in {self.output} that the main "
                "process sees. Give an --output on a file system that every node shares."
            )
        if state is None:
            return False
        self.model.load_state_dict(state.model)
        self.average.load_state_dict(state.average)
        self.optimiser.load_state_dict(state.optimiser)
        self.history, self.best = state.history, state.best
        return True

    def _validate(self) -> None:
        """Judge the averaged model, on the main process alone; the others learn what it found."""
        model = cast(SpeechNet, self.average.module.eval())
        device = self.processes.device
        judged = model if device.type == "cpu" else cast(SpeechNet, OnDevice(model, device))
        found = self.processes.told_by_main(self.validate(judged) if self.processes.is_main else None)
        history, pace = self.history, self.pace.since(self._seen_pace)
        self._seen_pace = replace(self.pace)
        row: dict[str, float] = {"step": history.step, "loss": history.loss}
        row |= {"learning_rate": self.learning_rate(history.step - 1)}
        row |= {"data_wait_share": pace.waited_share, "steps_per_s": pace.steps_per_s}
        history.rows.append({**row, **found})
        recent = [row["score"] for row in history.rows[-self.recipe.validation.window :]]
        score = sum(recent) / len(recent)
        last = self.recipe.validation.keep == "last"
        if last or history.best_score is None or score > history.best_score:
            history.best_score, history.best_step, history.since_best = score, history.step, 0
            self.best = {k: v.detach().cpu().clone() for k, v in self.average.module.state_dict().items()}
        else:
            history.since_best += 1

    def _draws(self, stream: int, step: int) -> np.random.Generator:
        """Draws of a step; another process draws others, for other rows."""
        own = [self.processes.index] if self.processes.index else []
        return np.random.default_rng([self.recipe.seed, stream, step, *own])

    def _gave_up(self) -> bool:
        return self.history.since_best >= self.recipe.validation.patience
