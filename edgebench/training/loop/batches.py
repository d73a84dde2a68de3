"""Where batches come from: sources by step number, the rows of one process, and making them ahead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)


class BatchSource(Protocol[B_co]):
    """Batches by step number: a pure function of the step, so that a run can resume at any step."""

    def batch(self, step: int) -> B_co:
        """The batch of a step (0, 1, ...)."""


class OwnRows(Generic[B]):
    """The rows of each batch that belong to this process, where several processes train together.

    A source with a method ``rows(step, rows)`` makes these rows alone. Of any other source, whose batches
    must be named tuples of arrays (or None), the whole batch is made and cut.
    """

    def __init__(self, source: BatchSource[B], rows: range) -> None:
        self._source, self._rows = source, rows

    def batch(self, step: int) -> B:
        """The rows of the batch of a step (0, 1, ...)."""
        if hasattr(self._source, "rows"):
            made: B = self._source.rows(step, self._rows)
            return made
        whole, rows = self._source.batch(step), slice(self._rows.start, self._rows.stop)
        parts = (None if part is None else part[rows] for part in whole)  # type: ignore[attr-defined]
        return type(whole)(*parts)


class Prefetcher(Generic[B]):
    """Prepares the next batch in a thread while the current one is trained on."""

    def __init__(self, data: BatchSource[B]) -> None:
        self._data = data
        self.waited_s = 0.0  # seconds that the loop waited for data
        self._began = time.perf_counter()

    def waited_share(self) -> float:
        """Fraction of the time since the start that the loop waited for data, 0..1."""
        return self.waited_s / max(1e-9, time.perf_counter() - self._began)

    def batches(self, first_step: int, last_step: int) -> Iterator[tuple[int, B]]:
        """Yield (step, batch) for ``first_step <= step < last_step``."""
        if first_step >= last_step:
            return
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
            pending = pool.submit(self._data.batch, first_step)
            for step in range(first_step, last_step):
                began = time.perf_counter()
                batch = pending.result()
                self.waited_s += time.perf_counter() - began
                if step + 1 < last_step:
                    pending = pool.submit(self._data.batch, step + 1)
                yield step, batch
