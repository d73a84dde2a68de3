"""Makes the agent of a board lie: imported by every Python of that board, acts in those that run the agent.

What is to be said stands in ``hostile.json`` beside the board's Python: ``verb`` is the agent's verb that
lies, ``how`` is ``mutate`` (one message of ``kind`` is spoiled, after ``seed``) or a flood. Standard library
only.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import subprocess
import sys
import time
from typing import Any

# What a terminal must never get, and a name that no file may have.
ESCAPE = "\x1b]0;OWNED\x07"
NAME = "../../../../OWNED"
INTRUDERS: tuple[Any, ...] = (
    None, True, -1, 0, 0.5, 2**62, 2**64, 10**400, 1e308, "", ESCAPE, "\u202eOWNED", "\x9b31mOWNED", NAME,
    "/tmp/OWNED", "9" * 5000, "x" * 3_000_000, [], {}, [[]], [None], {"": None}, [1] * 2000, [ESCAPE] * 50,
)  # fmt: skip
PIECE = b"x" * 65_536
HEARTBEAT = b'{"kind":"heartbeat","pid":1,"index":null,"id":null}\n'


def spoil(value: Any, chance: random.Random) -> Any:
    """One place of a JSON value, as likely deep as high, replaced, dropped or added to; changes ``value``."""
    parent, key, child = None, None, value
    while isinstance(child, (dict, list)) and child and (parent is None or chance.random() < 0.75):
        parent = child
        key = chance.choice(list(child) if isinstance(child, dict) else range(len(child)))
        child = child[key]
    if parent is None:
        return chance.choice(INTRUDERS)
    what = chance.choice(["replace", "replace", "drop", "add"])
    if what == "replace":
        parent[key] = chance.choice(INTRUDERS)
    elif what == "drop":
        del parent[key]
    elif isinstance(parent, dict):
        parent[chance.choice(["kind", "id", "seq", "repeat_of", "", ESCAPE])] = chance.choice(INTRUDERS)
    else:
        parent.append(chance.choice(INTRUDERS))
    return value


def mutate(plan: dict[str, Any]) -> None:
    """What the agent says, with one message of ``kind`` spoiled."""
    command = [sys.executable, *sys.orig_argv[1:]]
    chance, done = random.Random(plan["seed"]), False
    agent = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "HONEST": "1"})
    assert agent.stdout is not None
    for line in agent.stdout:
        said = json.loads(line)
        if not done and said["kind"] == plan["kind"]:
            done = True
            said = said if chance.random() < 0.9 else [said]
            for _ in range(chance.randint(1, 3)):
                said = spoil(said, chance)
            sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")
        else:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    os._exit(agent.wait())


def flood(file: int, piece: bytes) -> None:
    """Write for ever, or until nobody reads."""
    try:
        while True:
            os.write(file, piece)
    except OSError:
        os._exit(0)


def trickle() -> None:
    """A byte each second, and never the end of a line."""
    while True:
        os.write(1, b"x")
        time.sleep(1)


def main() -> None:
    """Lie, where this process runs the agent and the plan names its verb."""
    words = sys.orig_argv
    place = next((n for n, word in enumerate(words) if "edgebench/blobs/" in word), None)
    if place is None or "HONEST" in os.environ:
        return
    plan = json.loads(pathlib.Path(sys.prefix).with_name("hostile.json").read_text())
    if words[place + 1 : place + 2] != [plan["verb"]]:
        return
    how = plan["how"]
    if how == "mutate":
        mutate(plan)
    elif how == "one endless line":
        flood(1, PIECE)
    elif how == "endless lines":
        flood(1, b"[" * 1000 + b"\n")
    elif how == "endless heartbeats":
        flood(1, HEARTBEAT)
    elif how == "endless standard error":
        flood(2, PIECE)
    elif how == "a byte a second":
        trickle()
    else:
        time.sleep(1e6)
