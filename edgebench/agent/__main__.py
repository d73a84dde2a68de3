"""The verbs of the agent: ``python agent.zip VERB ...`` or ``python -m edgebench.agent VERB ...``.

See protocol.py for what each says. The exit status is 0 when the verb answered, 1 when the answer
is an ``error`` and 2 when there is no such verb.
"""

from __future__ import annotations

import sys

from edgebench.agent import protocol

USAGE = (
    "fingerprint [RUNTIME=PYTHON ...] | start PLAN RUN_DIR | follow RUN_DIR SEQ | cancel RUN_DIR | "
    "fix ROOT WANTED | trial"
)

# Verb -> fewest and most arguments. `probe` is what fingerprint calls in a child.
VERBS = {
    "fingerprint": (0, 99),
    "start": (2, 2),
    "follow": (2, 2),
    "cancel": (1, 1),
    "fix": (2, 2),
    "trial": (0, 0),
    "probe": (1, 1),
}


def main() -> int:
    """Dispatch one verb."""
    wire = protocol.take_wire()
    verb, arguments = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    fewest, most = VERBS.get(verb, (1, 0))
    if not fewest <= len(arguments) <= most or (verb == "follow" and not arguments[1].isdigit()):
        message = "the agent was asked for %r; it knows: %s" % (" ".join(sys.argv[1:]), USAGE)
        protocol.send(wire, {"kind": protocol.ERROR, "code": "USAGE", "message": message})
        return 2
    try:
        return _answer(wire, verb, arguments)
    except Exception as problem:
        from edgebench.agent import problems

        error = {"kind": protocol.ERROR, "code": protocol.INTERNAL, "message": problems.describe(problem)}
        protocol.send(wire, error)
        return 1


def _answer(wire: int, verb: str, arguments: list[str]) -> int:
    """Imports wait for the verb: a trial must not carry the others along."""
    if verb == "trial":
        from edgebench.agent import trial

        trial.main(wire)
    elif verb == "start":
        from edgebench.agent import supervisor

        return supervisor.start(wire, arguments[0], arguments[1])
    elif verb == "fix":
        import json

        from edgebench.agent import conditioning

        return conditioning.fix(wire, arguments[0], json.loads(arguments[1]))
    elif verb in ("follow", "cancel"):
        from edgebench.agent import follow

        if verb == "cancel":
            return follow.cancel(wire, arguments[0])
        return follow.follow(wire, arguments[0], int(arguments[1]))
    else:
        from edgebench.agent import fingerprint

        fingerprint.answer(wire, verb, arguments)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
