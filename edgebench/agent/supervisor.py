"""A run on the board: under the board's lock, detached, trial after trial into a journal.

It outlives the connection that started it. Everything between two trials happens here, so that
a trial holds nothing but the measurement; while a trial runs this process sleeps, on other
processors where there are any, and wakes for telemetry.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from edgebench.agent import (
    blobs,
    child,
    conditioning,
    cores,
    death,
    fingerprint,
    folders,
    journal,
    lock,
    power_log,
    predictions,
    problems,
    protocol,
    repeats,
    settings,
    trial,
)
from edgebench.agent.sensors import files, telemetry

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

COMPLETE, CANCELLED, FAILED = "complete", "cancelled", "failed"


def start(wire: int, plan_path: str, run_dir: str) -> int:
    """Take the lock, detach, answer. Returns in the caller's process only."""
    run_dir = os.path.abspath(run_dir)
    try:
        plan = read_plan(plan_path)
        plan["root"] = os.path.abspath(plan["root"])
        os.makedirs(run_dir, exist_ok=True)
        if os.path.exists(os.path.join(run_dir, folders.JOURNAL)):
            raise ValueError("%s holds a run already; follow it, or start another under a new id" % run_dir)
        held = lock.Lock(plan["root"], exclusive=plan.get("exclusive", True))
    except lock.BusyError as busy:
        protocol.send(wire, {"kind": protocol.BUSY, "holder": busy.holder})
        return 0
    except (OSError, ValueError) as problem:
        protocol.send(wire, {"kind": protocol.ERROR, "code": "BAD_PLAN", "message": str(problem)})
        return 1

    try:
        guard = conditioning.begin(plan.get("conditioning"), plan["root"], close=(wire,))
    except settings.RefusedError as problem:
        protocol.send(wire, {"kind": protocol.ERROR, "code": "CONDITIONING", "message": str(problem)})
        return 1

    ready, ready_end = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in (wire, ready):
                os.close(descriptor)
            _run_detached(plan, run_dir, held, ready_end, guard)
        os._exit(0)
    os.close(ready_end)
    os.waitpid(middle, 0)
    # The supervisor's pid, or why there is none; nothing where it died before it could say.
    pid = os.read(ready, 4096).decode()
    if not pid.isdigit():
        message = "the run could not be set up: %s" % (pid or files.read(_log(run_dir)) or "no log")
        protocol.send(wire, {"kind": protocol.ERROR, "code": protocol.INTERNAL, "message": message})
        return 1
    protocol.send(wire, {"kind": protocol.STARTED, "pid": int(pid), "run_dir": run_dir})
    return 0


def read_plan(path: str) -> dict[str, Any]:
    """The plan of a run. Raises OSError or ValueError for one this agent cannot carry out."""
    with open(path, "rb") as file:
        plan = json.loads(file.read())
    if not isinstance(plan, dict) or plan.get("protocol") != protocol.PROTOCOL:
        raise ValueError("the plan is not of protocol %d, which this agent speaks" % protocol.PROTOCOL)
    missing = {"run_id", "root", "user", "telemetry_hz", "trials"} - set(plan)
    if missing:
        raise ValueError("the plan lacks %s" % ", ".join(sorted(missing)))
    return plan


def _run_detached(plan: dict[str, Any], run_dir: str, held: lock.Lock, ready: int, guard: Any) -> None:
    """What the supervisor's process does. Does not return."""
    status = 1
    try:
        os.chdir("/")
        log = os.open(_log(run_dir), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        stop_fd = _stop_signals()
        book = journal.Journal(run_dir)
        journal.sign(run_dir)
        held.sign(plan["run_id"], plan["user"])
        os.write(ready, b"%d" % os.getpid())
        os.close(ready)
        ready = -1
        supervise(plan, run_dir, book, held=held, stop_fd=stop_fd, guard=guard)
        status = 0
    except BaseException as problem:
        why = problems.logged(problem)
        if ready >= 0:
            os.write(ready, why.encode()[-4096:])
    finally:
        sys.stderr.flush()
        os._exit(status)


def supervise(
    plan: dict[str, Any],
    run_dir: str,
    book: journal.Journal,
    *,
    held: lock.Lock,
    stop_fd: int,
    guard: conditioning.Guard | None = None,
) -> None:
    """Run every trial; at the end, whatever came, the board is put back, the lock freed, ``end`` written."""
    status, message, done = FAILED, None, 0
    try:
        trials = plan["trials"]
        cores.keep_clear_of(trials)
        runtimes = {one["runtime"]: one["python"] for one in trials if one["runtime"] != "null"}
        book.write(
            protocol.BEGIN,
            protocol=protocol.PROTOCOL,
            run_id=plan["run_id"],
            boot_id=files.boot_id(),
            agent_sha256=_agent_sha256(),
            wall_s=time.time(),
            fingerprint=fingerprint.fingerprint(runtimes, stop_fd=stop_fd),
            trials=len(trials),
        )
        readings = telemetry.Telemetry()
        store = blobs.Blobs(os.path.join(plan["root"], folders.BLOBS))
        told = predictions.Predictions()
        queue = repeats.Queue(trials, plan.get("repeats"))
        for index, one in enumerate(queue):
            origin = {"repeat_of": one["repeat_of"]} if "repeat_of" in one else {}
            book.write(protocol.TRIAL_BEGIN, id=one["id"], index=index, **origin)
            record = run_trial(plan, one, run_dir, store=store, readings=readings, stop_fd=stop_fd)
            told.shorten(one, record)
            queue.judge(one, record)
            book.write(protocol.TRIAL, index=index, **record, **origin)
            if (record["error"] or {}).get("code") == protocol.CANCELLED_BY_HOST:
                status = CANCELLED
                break
            done += 1
        else:
            status = COMPLETE
    except BaseException as problem:
        message = problems.logged(problem)
    if guard is not None:
        guard.release()
    # Freed before the `end` is written: whoever reads it may start the next run at once.
    held.release(signed=True)
    book.write(protocol.END, status=status, message=message, trials_done=done)


def run_trial(
    plan: dict[str, Any],
    one: dict[str, Any],
    run_dir: str,
    *,
    store: blobs.Blobs,
    readings: telemetry.Telemetry,
    stop_fd: int,
) -> dict[str, Any]:
    """One trial in a fresh process; its record, or that of its death, with telemetry."""
    cores.keep_clear_of([one])
    record: dict[str, Any] = {"stage": "starting", **trial.blank(one)}
    problem = store.problem(one)
    record["cooled_s"] = conditioning.cool_down(plan.get("conditioning"), stop_fd=stop_fd)
    before = readings.take_between()
    if problem is not None:
        record.pop("stage")
        record["error"] = {"code": protocol.FILE_CHANGED, "message": problem, "signal": None}
        record["telemetry"] = {"before": before, "after": before, "series": []}
        return record
    cpus = cores.of_trial(one)
    power = None
    if one.get("power"):
        clear = not set(cpus) & os.sched_getaffinity(0)
        power = power_log.PowerLog(readings.power, one["power"], clear=clear)
        power.idle(stop_fd)
    ticker = power_log.Ticker(readings.take, 1 / one.get("telemetry_hz", plan["telemetry_hz"]), power)
    ending = child.run(
        ["trial"],
        {**one, "blobs": os.path.join(plan["root"], folders.BLOBS), "cpus": cpus},
        hear=record.update,
        timeout_s=one["timeout_s"],
        python=one["python"],
        tick=ticker.tick,
        tick_s=ticker.tick_s,
        stop_fd=stop_fd,
        folder=run_dir,
    )
    stage = record.pop("stage")
    if record.pop("kind", None) != protocol.TRIAL:
        record["error"] = death.error_of(one, stage, ending)
    if record["trace"]:
        record["trace"] = blobs.facts(run_dir, record["trace"]["name"])
    # Idle first: reading the board's state runs programs.
    if power is not None:
        power.idle(stop_fd)
        record["power"] = power.record()
    record["telemetry"] = {"before": before, "after": readings.take_between(), "series": ticker.series}
    return record


def _stop_signals() -> int:
    """A descriptor that is readable from the first SIGTERM on.

    subtle: no handler raises, so that a signal cannot cut a line of the journal; a select on this
    descriptor wakes up instead.
    """
    stop_fd, written = os.pipe()
    os.set_blocking(written, False)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    return stop_fd


def _agent_sha256() -> str | None:
    """The hash of the zip this runs from; None when it runs from a folder."""
    if not os.path.isfile(child.ROOT):
        return None
    return str(blobs.facts(os.path.dirname(child.ROOT), os.path.basename(child.ROOT))["sha256"])


def _log(run_dir: str) -> str:
    return os.path.join(run_dir, folders.LOG)
