"""Predictions on this host, made by the very agent that the boards run.

So there is one way to make a prediction, whatever it is for: parity with a board (``reference``), or
accuracy alone (``evaluate``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.agent import protocol
from edgebench.devices import resolve_device
from edgebench.errors import BoardUnfit, MeasurementError, ModelError
from edgebench.harness.board import open_board
from edgebench.harness.events import Events, Silent
from edgebench.harness.follow import run_to_end
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
    prepared_as: Artifact | None = None,
) -> list[dict[str, Any]]:
    """Predict every input of the suite's plan once, on the host, with each of ``artifacts``.

    Returns the fields of the store's ``reference`` lines: an artifact, an input, and what came of it.
    ``prepared_as``: the artifact whose manifest says how clips are prepared, instead of each one's own.
    Each runs in the default runtime of its format. Raises BoardUnfit when such a runtime cannot be had
    here, ModelError when it refuses a file, DeviceBusy while a run is measured here, MeasurementError
    when the agent ends before the last prediction.
    """
    subjects = [Subject.of(artifact) for artifact in artifacts]
    if prepared_as is not None:
        subjects = [replace(s, preparation=Subject.of(prepared_as).preparation) for s in subjects]
    plan = make_plan(_once(suite), subjects, corpora, device="local")
    by_id = {trial.id: trial for trial in plan.trials}
    lines: list[dict[str, Any]] = []

    def hear(message: dict[str, Any]) -> None:
        if message["kind"] != protocol.TRIAL:
            return
        condition = by_id[message["id"]].condition
        _check(message, condition.artifact)
        lines.append(
            {
                "schema_version": SCHEMA_VERSION,
                "kind": "reference",
                "artifact_sha256": condition.artifact_sha256,
                "corpus": condition.corpus,
                "input_s": condition.input_s,
                "output": message["output"],
                "predictions": message["predictions"],
                "prepared_as": prepared_as.sha256 if prepared_as else None,
            }
        )
        events.advance(len(lines), len(plan.trials), "predictions")

    device = resolve_device("local")
    with open_board(device, runtimes=plan.runtimes, cache=cache, offline=False, events=Silent()) as board:
        for why in board.failed.values():
            raise BoardUnfit(why)
        board.send({a.sha256: a.path for a in artifacts} | {c.sha256: c.path for c in corpora})
        message = plan.message(
            run_id=new_run_id(),
            root=board.facts.root,
            user="reference",
            pythons=board.pythons,
            exclusive=False,
        )
        for trial in message["trials"]:
            trial["twice"] = True  # the same input again, to find answers that are random
        audio_s = max((corpus.audio_s for corpus in corpora), default=0.0)
        ending = run_to_end(board, message, hear, audio_s=audio_s)
    if len(lines) < len(plan.trials):
        raise MeasurementError(
            f"predicting on this host ended early: {len(lines)} of {len(plan.trials)} predictions were made "
            f"({ending.message or ending.status}). Run the command again."
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
            "scenarios": tuple(name.replace("sustained", "single_stream") for name in suite.scenarios),
            "rate_hz": None,
            "energy": None,
        }
    )


def _check(message: dict[str, Any], artifact: str) -> None:
    error = message["error"]
    if not error:
        if message["output"].get("repeats") is False:
            raise ModelError(
                f"model {artifact}: the same input twice gives two answers, so nothing can be compared with "
                "them (tried on this host, before the run). Something random is left in the file: dither in "
                "the front end, dropout, added noise. Export it in eval mode and with dither 0."
            )
        return
    text = f"model {artifact}: {error['message']}"
    if error["code"] in {"MODEL_LOAD", "RUN_FAILED", "PREPARATION"}:
        raise ModelError(f"{text} (tried on this host).")
    raise MeasurementError(f"{text} ({error['code']}, on this host).")
