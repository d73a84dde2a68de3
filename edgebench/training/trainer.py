"""The training loop: seeded, resumable to the bit, judged on the validation speakers alone.

One step is ``Trainer.step``; everything around it is bookkeeping. A checkpoint holds the state of
model, average, optimiser and history, and is written beside its place and moved over it, so that a
full disk or a kill leaves the last good one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from edgebench.errors import ConfigError
from edgebench.models.architectures import build_architecture
from edgebench.training import losses
from edgebench.training.augment import mask_log_mel
from edgebench.training.data import SAMPLE_RATE_HZ, Batch, Prefetcher, TrainingData
from edgebench.training.recipe import Recipe

FRAME_SAMPLES = 32  # hop of the front end: turns a mask's seconds into frames
_MASKS, _TORCH = 3, 4  # streams of the seed

# validate(model) -> {"score": mean UA, ...}: any numbers worth a column in the log
Validate = Callable[[nn.Module], dict[str, float]]


@dataclass
class Progress:
    """What a caller may show: called after every step."""

    step: int
    steps: int
    loss: float
    best: float | None


@dataclass
class History:
    """Where the run stands; part of the checkpoint."""

    step: int = 0
    best_score: float | None = None
    best_step: int | None = None
    since_best: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)


def learning_rate_ratio(step: int, *, steps: int, warmup_steps: int, final_ratio: float) -> float:
    """Linear from 0 to 1 over the warm-up, then a half cosine from 1 to ``final_ratio``."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    return final_ratio + (1.0 - final_ratio) * 0.5 * (1.0 + float(np.cos(np.pi * min(1.0, done))))


class Trainer:
    """Trains the recipe's architecture on ``data``; ``output`` receives checkpoints and curves."""

    def __init__(self, recipe: Recipe, data: TrainingData, validate: Validate, output: Path) -> None:
        self.recipe, self.data, self.validate, self.output = recipe, data, validate, output
        torch.set_num_threads(recipe.compute.threads)
        torch.manual_seed(recipe.seed)
        self.model = build_architecture(recipe.architecture, dropout=recipe.model.dropout)
        decay = recipe.optimiser.average_decay
        # subtle: buffers are averaged too, so that batch norm's statistics belong to the averaged weights.
        self.average = AveragedModel(
            self.model,
            avg_fn=lambda mean, new, count: torch.lerp(mean, new, 1.0 - min(decay, (1.0 + float(count)) / (10.0 + float(count))))
            if mean.is_floating_point()
            else new,
            use_buffers=True,
        )
        trained = [p for p in self.model.parameters() if p.requires_grad]
        # Weight decay is for matrices and kernels; biases and norms have nothing to shrink.
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.optimiser.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.optimiser.learning_rate)
        self.history = History()
        self.best_state: dict[str, Tensor] | None = None

    def run(self, *, progress: Callable[[Progress], None] | None = None, stop_after: int | None = None) -> None:
        """Train to the end of the schedule, or until validation stopped improving.

        ``stop_after`` ends the loop after that many steps of this call, with a checkpoint: what a
        kill leaves, and what tests of the resume use.
        """
        schedule, history = self.recipe.optimiser, self.history
        last = schedule.steps if stop_after is None else min(schedule.steps, history.step + stop_after)
        prefetcher, running = Prefetcher(self.data), 0.0
        if history.since_best >= self.recipe.validation.patience:
            return
        for step, batch in prefetcher.batches(history.step, last):
            loss = self.step(step, batch)
            history.step = step + 1
            running = loss if running == 0.0 else 0.98 * running + 0.02 * loss
            if history.step % self.recipe.validation.every_steps == 0 or history.step == schedule.steps:
                self._validate(running, prefetcher.waited_s)
                self.save()
                if history.since_best >= self.recipe.validation.patience:
                    break
            if progress is not None:
                progress(Progress(history.step, schedule.steps, running, history.best_score))
        self.save()

    def step(self, step: int, batch: Batch) -> float:
        """One update on one batch; returns the loss."""
        schedule = self.recipe.optimiser
        ratio = learning_rate_ratio(
            step, steps=schedule.steps, warmup_steps=schedule.warmup_steps, final_ratio=schedule.final_ratio
        )
        for group in self.optimiser.param_groups:
            group["lr"] = schedule.learning_rate * ratio
        torch.manual_seed(int(np.random.default_rng([self.recipe.seed, _TORCH, step]).integers(2**62)))
        self.model.train()
        loss = self.loss(batch, np.random.default_rng([self.recipe.seed, _MASKS, step]))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), schedule.clip_norm)
        self.optimiser.step()
        self.average.update_parameters(self.model)
        return float(loss.detach())

    def loss(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """The recipe's loss of a batch, masks drawn from ``rng``."""
        augment, weights = self.recipe.augment, self.recipe.loss
        log_mel = mask_log_mel(
            self.model.features(torch.from_numpy(batch.waveforms)),  # type: ignore[operator]
            mel_masks=augment.mel_masks,
            mel_mask_bands=augment.mel_mask_bands,
            time_masks=augment.time_masks,
            time_mask_frames=round(augment.time_mask_s * SAMPLE_RATE_HZ / FRAME_SAMPLES),
            rng=rng,
        )
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.recipe.compute.bf16):
            adv, logits = self.model.classify(log_mel)  # type: ignore[operator]
        emotion = losses.cross_entropy(
            torch.from_numpy(batch.emotions),
            logits.float(),
            weights=torch.from_numpy(batch.weights),
            smoothing=weights.smoothing,
        )
        dimensional = losses.ccc_loss(torch.from_numpy(batch.adv), adv.float())
        return weights.emotion_weight * emotion + weights.ccc_weight * dimensional

    def best_model(self) -> nn.Module:
        """The averaged model of the best validation, in eval mode."""
        if self.best_state is None:
            raise ConfigError(
                f"the run in {self.output} was never validated, so it has no best model: "
                "set validation.every_steps to at most optimiser.steps."
            )
        model = build_architecture(self.recipe.architecture)
        model.load_state_dict(self.best_state)
        return model.eval()

    def _validate(self, loss: float, waited_s: float) -> None:
        found = self.validate(self.average.module.eval())
        history = self.history
        history.rows.append({"step": history.step, "loss": loss, "data_wait_s": waited_s, **found})
        if history.best_score is None or found["score"] > history.best_score:
            history.best_score, history.best_step, history.since_best = found["score"], history.step, 0
            self.best_state = {k: v.detach().clone() for k, v in self.average.module.state_dict().items()}
        else:
            history.since_best += 1

    # --- checkpoints --------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Path:
        return self.output / "checkpoint.pt"

    def save(self) -> None:
        """Write the checkpoint and the curves, each moved into place whole."""
        state = {
            "recipe": self.recipe.model_dump_json(),
            "clips": [clip.id for clip in self.data.clips],
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "history": vars(self.history),
            "best": self.best_state,
        }
        self.output.mkdir(parents=True, exist_ok=True)
        _replace(self.checkpoint, lambda path: torch.save(state, path))
        lines = "".join(json.dumps(row) + "\n" for row in self.history.rows)
        _replace(self.output / "curves.jsonl", lambda path: path.write_text(lines, encoding="utf-8"))

    def resume(self) -> bool:
        """Continue from the checkpoint if there is one; refuse one of another recipe or other clips."""
        if not self.checkpoint.is_file():
            return False
        state: dict[str, Any] = torch.load(self.checkpoint, weights_only=True)
        if state["recipe"] != self.recipe.model_dump_json():
            raise ConfigError(
                f"checkpoint {self.checkpoint} was written by another recipe: {_changed(state['recipe'], self.recipe)}. "
                "Give the same recipe and overrides, or another --output."
            )
        if state["clips"] != [clip.id for clip in self.data.clips]:
            raise ConfigError(
                f"checkpoint {self.checkpoint} was trained on {len(state['clips'])} clips, and these "
                f"{len(self.data.clips)} are not the same. Give the same corpora, or another --output."
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.history, self.best_state = History(**state["history"]), state["best"]
        return True


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    part = path.with_name(path.name + ".part")
    write(part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _changed(before: str, recipe: Recipe) -> str:
    """The dotted keys at which two recipes differ, with both values."""
    old, new = _flat(json.loads(before)), _flat(json.loads(recipe.model_dump_json()))
    keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return ", ".join(f"{key} was {old.get(key)!r}, is {new.get(key)!r}" for key in keys)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def curves(output: Path) -> Sequence[dict[str, float]]:
    """The rows of ``curves.jsonl``."""
    return [json.loads(line) for line in (output / "curves.jsonl").read_text(encoding="utf-8").splitlines()]
