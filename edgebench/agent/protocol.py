"""The wire between host and board: one JSON object a line, on what used to be file descriptor 1.

This is the only definition of it: the host imports this module, the agent imports nothing of
the host. The verbs, each one run of ``python agent.zip VERB ...``:

``fingerprint [RUNTIME=PYTHON ...]``
    one ``fingerprint`` message: what the board is, and for each runtime named whether it imports in
    that interpreter.
``start PLAN RUN_DIR``
    take the board's lock, detach, and run the trials of the plan file one after the other, each
    in a fresh process of its runtime's interpreter, writing RUN_DIR/journal.jsonl. Answers
    ``started``, or ``busy`` with the holder of the lock and the ``state`` of that process.
``follow RUN_DIR SEQ``
    the journal from message number SEQ on, as it grows, until ``end``; a ``heartbeat`` when
    nothing else was said for a while; ``lost`` when the run died without an ``end``.
``cancel RUN_DIR``
    stop the run and its trial; answers ``cancelled``.
``fix ROOT WANTED``
    bring the board into the state that the JSON object WANTED names (see ``conditioning.begin``) and leave
    it there; answers ``fixed``, or ``busy`` as ``start`` does.
``trial``
    one trial, described by one JSON object on standard input (what ``start`` calls).

Journal messages carry ``seq``, counted from 0: ``begin``, then ``trial_begin`` and ``trial`` in
turn, then ``end``.

The plan may hold ``conditioning``: the state that the board is brought into for the run, and ``cool_c``,
``cool_limit_s``: a launch waits until the processor is cooler, so many seconds in all at most.

A trial may hold ``rate_hz``, requests a second (see ``requests``); ``telemetry_hz`` in place of the plan's;
and ``power``: ``hz`` readings of the board's rails a second, while it runs and for ``idle_s`` before and
after it. Its scenario is ``single_stream``, ``offline``, or ``sustained`` for one long launch.

The plan may hold ``repeats``: ``budget`` launches at most are made again after the last one (see
``repeats``), where telemetry shows more than the shares ``others``, ``steal`` and ``queue_wait``, and
none where more than the share ``busy_host`` of the launches was disturbed. Trials of one ``group`` are
made again together; a repeat says in ``repeat_of`` which trial it stands for. A trial may name another in
``predictions_of``: where its predictions are the same again, its message has ``same_as`` in their place.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False  # what typing calls it, without importing typing on the board
if TYPE_CHECKING:
    from typing import Any, Mapping

# Protocol history.
# 1: first.
# 2: a trial names its interpreter (``python``) and may ask for a trace; a plan names the board's root
#    folder; a fingerprint holds several runtimes by name. Runs that measure nothing (``exclusive``:
#    false) share the board with each other, never with one that measures.
PROTOCOL = 2

# Message kinds.
FINGERPRINT = "fingerprint"
STARTED = "started"
BUSY = "busy"
CANCELLED = "cancelled"
FIXED = "fixed"
BEGIN = "begin"
TRIAL_BEGIN = "trial_begin"
TRIAL = "trial"
END = "end"
HEARTBEAT = "heartbeat"
LOST = "lost"
ERROR = "error"

# Why a trial has no result: values of ``trial["error"]["code"]``.
RUNTIME_INSTALL = "RUNTIME_INSTALL"  # the host could not install the runtime on the board
RUNTIME_IMPORT = "RUNTIME_IMPORT"  # the runtime is missing, or dies on this processor (signal 4)
MODEL_LOAD = "MODEL_LOAD"  # the runtime refuses the file
RUN_FAILED = "RUN_FAILED"  # an inference raised
PREPARATION = "PREPARATION"  # a preparation step is unknown, or the pack cannot be read
FILE_CHANGED = "FILE_CHANGED"  # the model or the speech on the board is not what was sent
KILLED = "KILLED"  # the process died of a signal
TIMEOUT = "TIMEOUT"  # it outran its time limit
CANCELLED_BY_HOST = "CANCELLED_BY_HOST"
INTERNAL = "INTERNAL"  # a bug in the agent: the message holds the traceback


def take_wire() -> int:
    """Keep file descriptor 1 for the protocol and point fd 1 at stderr.

    After this neither a ``print`` nor a C library that writes to stdout can corrupt the stream. What was
    printed before, by a sitecustomize of the board's Python, goes to stderr too.
    Returns the descriptor of the wire.
    """
    wire = os.dup(1)
    os.dup2(2, 1)
    sys.stdout.flush()
    return wire


def encode(message: Mapping[str, Any]) -> bytes:
    """One message as one line of bytes, newline included. NaN is not JSON and raises ValueError."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def send(wire: int, message: Mapping[str, Any]) -> bool:
    """Write one whole message to the wire; False when nobody listens any more."""
    data = encode(message)
    try:
        while data:
            data = data[os.write(wire, data) :]
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def decode(line: bytes | str) -> dict[str, Any]:
    """The message of one line. Raises ValueError for a line that is cut or is not an object."""
    message = json.loads(line)
    if not isinstance(message, dict) or "kind" not in message:
        raise ValueError("not a protocol message: %.80r" % (line,))
    return message
