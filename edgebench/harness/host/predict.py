"""Predictions on this host, made by the very agent that the boards run.

So there is one way to make a prediction, whatever it is for: parity with a board (``reference``), or
accuracy alone (``evaluate``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.devices import resolve_device
from edgebench.errors import MeasurementError, ModelError
from edgebench.harness.board import open_board
from edgebench.harness.events import Events, Silent
from edgebench.harness.plan import PackedCorpus, Subject, make_plan
from edgebench.harness.suite import Repeats, Suite, Warmup
from edgebench.results import SCHEMA_VERSION, new_run_id

if TYPE_CHECKING:
    from edgebench.models import Artifact


def predict_on_host(
    suite: Suite,
    artifacts: Sequence[Artifact],
    corpora: Sequence[PackedCorpus],
    *,
    cache: Path,
    events: Events,
) -> list[dict[str, Any]]:
    """Predict every input of the suite's plan once, on the host, with each of ``artifacts``.

    Returns the fields of the store's ``reference`` lines: an artifact, an input, and what came of it.
    Raises ModelError when the host's runtime refuses a file, DeviceBusy while a run is measured here,
    MeasurementError when the agent ends before the last prediction.
    """
    plan = make_plan(_once(suite), [Subject.of(a) for a in artifacts], corpora, device="local")
    lines: list[dict[str, Any]] = []
    target = resolve_device("local")
    with open_board(target, cache=cache, offline=False, events=Silent()) as board:
        files = {a.sha256: a.path for a in artifacts} | {c.sha256: c.path for c in corpora}
        board.send(files)
        run_id = new_run_id()
        last: dict[str, Any] = {"kind": "no message"}
        run_dir = board.start(plan.message(run_id=run_id, root=board.facts.root, user="reference"))
        by_id = {trial.id: trial for trial in plan.trials}
        try:
            for message in board.follow(run_dir, 0):
                last = message
                if message["kind"] == "trial":
                    trial = by_id[message["id"]]
                    _check(message, trial.condition.artifact)
                    lines.append(
                        {
                            "schema_version": SCHEMA_VERSION,
                            "kind": "reference",
                            "artifact_sha256": trial.condition.artifact_sha256,
                            "corpus": trial.condition.corpus,
                            "input_s": trial.condition.input_s,
                            "output": message["output"],
                            "predictions": message["predictions"],
                        }
                    )
                    events.advance(len(lines), len(plan.trials), "predictions")
        except BaseException:
            board.cancel(run_dir)
            raise
        finally:
            board.clean(run_dir)
    if len(lines) < len(plan.trials):
        raise MeasurementError(
            f"predicting on this host ended early: {len(lines)} of {len(plan.trials)} predictions were made "
            f"({last.get('message') or last['kind']}). Run the command again."
        )
    return lines


def _once(suite: Suite) -> Suite:
    """The same inputs, each predicted once: no timing comes of it."""
    return suite.model_copy(
        update={
            "launches": 1,
            "min_count": 1,
            "min_duration_s": 1e-9,
            "threads": suite.threads[:1],
            "null_runtime": False,
            "warmup": Warmup(min_count=1, max_s=1e-9, window=1),
            "repeats": Repeats(budget=0),
        }
    )


def _check(message: dict[str, Any], artifact: str) -> None:
    error = message["error"]
    if not error:
        return
    text = f"model {artifact}: {error['message']}"
    if error["code"] in {"MODEL_LOAD", "RUN_FAILED", "PREPARATION"}:
        raise ModelError(f"{text} (tried on this host).")
    raise MeasurementError(f"{text} ({error['code']}, on this host).")
