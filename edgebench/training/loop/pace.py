"""How fast a training goes, and how much of its time it waits for data."""

from __future__ import annotations

import time
from dataclasses import dataclass

# Columns of the curves that are measured. All others are the same to the bit in a resumed run.
MEASURED = ("data_wait_share", "steps_per_s")


@dataclass
class Pace:
    """Steps, the seconds that they took, and the seconds before them that no batch was ready.

    Validating and saving count in neither.
    """

    steps: int = 0
    worked_s: float = 0.0
    waited_s: float = 0.0

    def note(self, *, began: float, waited_s: float) -> None:
        """Count a step that began at ``began`` (of ``time.perf_counter``) and ends now."""
        self.steps += 1
        self.worked_s += time.perf_counter() - began
        self.waited_s += waited_s

    @property
    def waited_share(self) -> float:
        """Share of the time that was spent waiting for data, 0..1."""
        return self.waited_s / max(1e-9, self.worked_s + self.waited_s)

    @property
    def steps_per_s(self) -> float:
        """Steps a second of working and waiting."""
        return self.steps / max(1e-9, self.worked_s + self.waited_s)

    def since(self, earlier: Pace) -> Pace:
        """The steps after ``earlier``, a copy of this pace taken then."""
        return Pace(
            self.steps - earlier.steps, self.worked_s - earlier.worked_s, self.waited_s - earlier.waited_s
        )
