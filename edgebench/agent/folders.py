"""Where things lie on a board: everything is below one folder, the root.

::

    blobs/SHA256      files by the hash of their content: the agent, models, packs, wheels
    envs/KEY/         private environments, one a runtime
    runs/RUN_ID/      one run: plan.json, journal.jsonl, pid, supervisor.log, reserve, traces
    lock              held by the account's run that measures (see ``lock`` for the board's)

Host and agent both take their paths from here.
"""

from __future__ import annotations

# Of the root.
BLOBS, ENVS, RUNS, LOCK = "blobs", "envs", "runs", "lock"

# Of a run.
PLAN, JOURNAL, PID, LOG, RESERVE = "plan.json", "journal.jsonl", "pid", "supervisor.log", "reserve"


def join(folder: str, *names: str) -> str:
    """A path on the board. Boards are Linux machines, whatever the host is."""
    return "/".join((folder.rstrip("/"), *names))
