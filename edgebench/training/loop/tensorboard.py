"""The curves as TensorBoard reads them: one event file, written from the history.

A resumed run writes the file anew from the rows of its checkpoint, so that no step occurs twice. The times
that TensorBoard shows of such rows are those of the last writing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

from edgebench.errors import StoreError

FOLDER, FILE = "tensorboard", "events.out.tfevents.edgebench"
# Columns of the curves that are the training's own; every other is the validation's.
TRAINING = ("loss", "learning_rate", "data_wait_share", "steps_per_s")


class BoardFile:
    """``tensorboard/`` in the folder of a run."""

    def __init__(self, output: Path) -> None:
        self.path = output / FOLDER / FILE
        self._written = 0

    def write(self, rows: Sequence[dict[str, float]]) -> None:
        """Write the rows that this process has not written yet, after the first call's new beginning.

        Raises :class:`StoreError` where the disk does not take them.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab" if self._written else "wb") as file:
                records = RecordWriter(file)
                if not self._written:
                    records.write(
                        Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString()
                    )
                for row in rows[self._written :]:
                    records.write(_event(row).SerializeToString())
        except OSError as error:
            self._written = 0  # half a record may stand there
            raise StoreError(
                f"{self.path} could not be written ({error}); the checkpoint is whole. Make room, then use "
                "--resume."
            ) from None
        self._written = len(rows)


def _event(row: dict[str, float]) -> Event:
    values = [
        Summary.Value(tag=f"{'training' if name in TRAINING else 'validation'}/{name}", simple_value=value)
        for name, value in row.items()
        if name != "step" and math.isfinite(value)
    ]
    return Event(wall_time=time.time(), step=int(row["step"]), summary=Summary(value=values))
