"""One process or many: what the processes of a training exchange.

The same command runs alone, or in several processes under ``accelerate launch``, ``torchrun`` or MPI, which
:class:`accelerate.PartialState` reads from the environment. A batch is divided among the processes, the loss
is not: predictions are gathered, every process computes the loss of the whole batch, and the gradients
through each process' own rows are added up. So a loss that is not a mean over rows, such as one minus a
concordance, equals that of one process.
"""

from __future__ import annotations

import atexit
import datetime
import json
import os
from collections.abc import Iterable
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, gather, get_int_from_env, parse_flag_from_env, reduce
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgebench.errors import ConfigError

# The others wait while the first process validates. If one dies, its launcher ends them all.
_WAIT = datetime.timedelta(hours=6)
# Variables in which torchrun, accelerate and several MPIs give the number of processes.
_STARTED = ["WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"]


def _leave() -> None:
    """End gloo's threads: one that still runs when Python exits aborts the process."""
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == "gloo":
        torch.distributed.destroy_process_group()


class Processes:
    """The processes of a training as one of them sees them; ``device`` is a GPU where there is one.

    With one process every method returns its argument unchanged.
    """

    def __init__(self) -> None:
        started = get_int_from_env(_STARTED, 1)
        if started > 1:
            os.environ.setdefault("OMP_NUM_THREADS", "1")  # else accelerate guesses; the recipe sets torch's
        cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
        state = PartialState(cpu=cpu, timeout=_WAIT)
        if started > 1 and state.num_processes == 1:
            raise ConfigError(
                f"{started} processes were started, and nothing connects them on device {state.device}: each "
                "would train alone, into the same folder. Start one, or set ACCELERATE_USE_CPU=true."
            )
        if state.num_processes > 1:
            atexit.unregister(_leave)
            atexit.register(_leave)
        self.device: torch.device = state.device
        self.index: int = state.process_index
        self.count: int = state.num_processes
        self.is_main: bool = state.is_main_process
        self.gathered = 0  # calls of whole

    def rows(self, batch: int) -> range:
        """The rows of a batch that this process makes. Raises :class:`ConfigError` for a remainder."""
        if batch % self.count:
            raise ConfigError(
                f"optimiser.batch is {batch}, which {self.count} processes cannot divide evenly. Set it to a "
                f"multiple of {self.count}, or start another number of processes."
            )
        share = batch // self.count
        return range(self.index * share, (self.index + 1) * share)

    def whole(self, rows: Tensor) -> Tensor:
        """The rows (share, ...) of every process in the order of the batch (batch, ...).

        subtle: a gradient flows through this process' own rows alone; :meth:`add` brings the rest.
        """
        self.gathered += 1
        if self.count == 1:
            return rows
        parts = list(gather(rows.detach().contiguous()).split(len(rows)))
        parts[self.index] = rows
        return torch.cat(parts)

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the processes."""
        if self.count == 1:
            return
        listed = list(tensors)
        for dtype in sorted({tensor.dtype for tensor in listed}, key=str):
            same = [tensor for tensor in listed if tensor.dtype == dtype]
            flat = reduce(torch.cat([tensor.reshape(-1) for tensor in same]), reduction="sum")
            for tensor, part in zip(same, flat.split([t.numel() for t in same]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def agree_on_statistics(self, model: nn.Module) -> None:
        """Give batch norm's running statistics their mean over the processes.

        Each process normalises by the statistics of its own rows, as distributed training commonly does.
        """
        if self.count == 1:
            return
        norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        found = [s for norm in norms for s in (norm.running_mean, norm.running_var) if s is not None]
        self.add(found)
        for statistic in found:
            statistic.div_(self.count)

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in at least one process; every process must call this."""
        if self.count == 1:
            return flag
        return bool(reduce(torch.tensor(float(flag), device=self.device), reduction="sum") > 0)

    def wait(self) -> None:
        """Wait until every process has called this."""
        PartialState().wait_for_everyone()

    def told_by_main(self, values: dict[str, Any] | None) -> dict[str, Any]:
        """The values that the main process passes, returned in every process: numbers and texts by name."""
        if self.count == 1:
            return values or {}
        text = json.dumps(values).encode() if self.is_main else b""
        size = broadcast(torch.tensor([len(text)], device=self.device))
        letters = torch.zeros(int(size), dtype=torch.uint8, device=self.device)
        if self.is_main:
            letters.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        told: dict[str, Any] = json.loads(bytes(broadcast(letters).cpu().numpy()))
        return told


class OnDevice:
    """A model on a device, called with CPU tensors and returning CPU tensors.

    So a validation is the same code wherever the net computes.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self._model, self._device = model, device

    def __call__(self, *given: Any, **options: Any) -> Any:
        return self._to_cpu(self._model(*self._to_device(given), **options))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        if not callable(found):
            return found
        return lambda *given, **options: self._to_cpu(found(*self._to_device(given), **options))

    def _to_device(self, given: Any) -> list[Any]:
        return [value.to(self._device) if isinstance(value, Tensor) else value for value in given]

    def _to_cpu(self, answer: Any) -> Any:
        if isinstance(answer, Tensor):
            return answer.cpu()
        if isinstance(answer, dict):
            return {name: self._to_cpu(part) for name, part in answer.items()}
        return answer
