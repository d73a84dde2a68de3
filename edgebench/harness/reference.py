"""What the host says: the fp32 parent's outputs on the host, against which a board is checked.

The host runs the very agent that the boards run, so there is one way to make a prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.devices import resolve_device
from edgebench.errors import MeasurementError, ModelError
from edgebench.harness.board import open_board
from edgebench.harness.events import Events, Silent
from edgebench.harness.heldout import HeldOut
from edgebench.harness.plan import Subject, make_plan
from edgebench.harness.suite import Suite, Warmup
from edgebench.results import SCHEMA_VERSION, new_run_id

if TYPE_CHECKING:
    from edgebench.models import Artifact


def reference_artifacts(artifacts: Sequence[Artifact], known: Sequence[Artifact]) -> list[Artifact]:
    """The artifacts to predict with on the host: each one's fp32 parent, or itself without one.

    ``known`` are further artifacts, such as the packaged ones, in which a parent may be found.
    """
    by_hash = {artifact.sha256: artifact for artifact in (*known, *artifacts)}
    wanted = (a.manifest.parent if a.manifest and a.manifest.parent else a.sha256 for a in artifacts)
    chosen = {sha256: by_hash[sha256] for sha256 in wanted if sha256 in by_hash}
    # A parent that is not at hand leaves its child to be compared with itself: same file, two machines.
    for artifact in artifacts:
        parent = artifact.manifest.parent if artifact.manifest else None
        if parent and parent not in by_hash:
            chosen[artifact.sha256] = artifact
    return list(chosen.values())


def host_reference(
    suite: Suite,
    artifacts: Sequence[Artifact],
    subjects: Sequence[Subject],
    corpora: Sequence[HeldOut],
    *,
    cache: Path,
    events: Events,
) -> list[dict[str, Any]]:
    """Predict every input of the plan once, on the host, with each of ``artifacts``.

    Returns the fields of the ``reference`` lines of the store. Raises ModelError when the host's
    runtime refuses a file, before any board is touched.
    """
    events.stage("predicting on this host, for parity")
    plan = make_plan(_once(suite), subjects, [corpus.packed for corpus in corpora])
    lines: list[dict[str, Any]] = []
    target = resolve_device("local")
    with open_board(target, cache=cache, offline=False, events=Silent()) as board:
        files = {a.sha256: a.path for a in artifacts} | {c.packed.sha256: c.path for c in corpora}
        board.send(files)
        run_id = new_run_id()
        run_dir = board.start(plan.message(run_id=run_id, root=board.facts.root, user="reference"))
        by_id = {trial.id: trial for trial in plan.trials}
        try:
            for message in board.follow(run_dir, 0):
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
        }
    )


def _check(message: dict[str, Any], artifact: str) -> None:
    error = message["error"]
    if not error:
        return
    text = f"model {artifact}: {error['message']}"
    if error["code"] in {"MODEL_LOAD", "RUN_FAILED", "PREPARATION"}:
        raise ModelError(f"{text} (tried on this host, before any board was touched).")
    raise MeasurementError(f"{text} ({error['code']}, on this host).")
