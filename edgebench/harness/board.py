"""One board, ready to be told what to do: a connection, private environments and the agent on it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgebench.agent import folders, protocol
from edgebench.devices import (
    BoardFacts,
    Conditioning,
    Connection,
    DeployReport,
    Device,
    Environment,
    build_agent,
    connect,
    deploy,
    probe_board,
    provision,
)
from edgebench.errors import ConnectionFailed, DeviceBusy, DeviceError, MeasurementError
from edgebench.harness import wire
from edgebench.harness.checks.preflight import require_board, require_profile
from edgebench.harness.events import Events
from edgebench.harness.plan import DEFAULT_RUNTIME
from edgebench.text import plain

# A verb that answers once has this long to do it. A board under emulation is 500 times slower
# than the host, and importing the runtime is the slowest thing a verb does.
_ANSWER_S = 300.0

# Who waits for a board asks this often whether it is free.
_ASK_AGAIN_S = 5.0

# The agent sends a heartbeat at least every 5 s; this much silence means the link is dead.
_SILENCE_S = 60.0
# Lines that are no messages, before the first that is one.
_NOISE_LINES = 100


@dataclass(frozen=True)
class Board:
    """A board with the agent in place.

    ``environments``: runtime -> its private environment. ``failed``: runtime -> why it could not be
    installed. The agent itself runs in the board's own Python; only trials run in an environment.
    """

    device: Device
    connection: Connection
    facts: BoardFacts
    environments: Mapping[str, Environment]
    failed: Mapping[str, str]
    agent: str
    agent_bytes: int
    events: Events

    @property
    def pythons(self) -> dict[str, str]:
        """Runtime -> the interpreter of its trials."""
        return {name: environment.python for name, environment in self.environments.items()}

    def run_dir(self, run_id: str) -> str:
        """Where a run lives on the board."""
        return folders.join(self.facts.runs, run_id)

    def fingerprint(self) -> dict[str, Any]:
        """What the board is, and of each runtime whether it imports there (probed in a child process)."""
        asked = [f"{name}={python}" for name, python in self.pythons.items()]
        message = self._ask(protocol.FINGERPRINT, protocol.FINGERPRINT, *asked)
        found = {key: value for key, value in message.items() if key != "kind"}
        if set(found["runtimes"]) != set(self.pythons):
            raise DeviceError(
                f"board {self.device.name!r}: the agent was asked for {', '.join(self.pythons)} and told of "
                f"{', '.join(found['runtimes']) or 'no runtime'}. Look on the board at what answers there."
            )
        for name, why in self.failed.items():
            error = {"code": protocol.RUNTIME_INSTALL, "message": why, "signal": None}
            found["runtimes"][name] = {"name": name, "error": error}
        return found

    def send(self, files: Mapping[str, Path]) -> DeployReport:
        """Put files on the board by content; those already there are not sent again."""
        return deploy(self.connection, self.facts, files, progress=partial(self.events.advance, unit="bytes"))

    def start(self, plan: Mapping[str, Any]) -> str:
        """Start a run, detached: it goes on when the link is lost. Returns its folder.

        Raises DeviceBusy when somebody else measures on this board, and ConnectionFailed when the link is
        lost; then the run may have begun.
        """
        run_dir = self.run_dir(plan["run_id"])
        plan_path = folders.join(run_dir, folders.PLAN)
        self.connection.exec(["mkdir", "-p", run_dir], timeout_s=60.0)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(plan, file)
            file.flush()
            self.connection.put(Path(file.name), plan_path, progress=None)
        message = self._ask("start", protocol.STARTED, plan_path, run_dir)
        if message["kind"] == protocol.BUSY:
            holder = message["holder"] if isinstance(message["holder"], dict) else {}
            if holder.get("run_id") == plan["run_id"]:
                return run_dir  # this very run: it was started before, and the answer was lost
            self.clean(run_dir)
            raise _busy(self.device.name, holder)
        return run_dir

    def follow(self, run_dir: str, seq: int, limits: wire.Limits | None = None) -> Iterator[dict[str, Any]]:
        """The run's messages from number ``seq`` on, until its end.

        Raises ConnectionFailed, and MeasurementError for what is no message.
        """
        limits = limits or wire.Limits()
        argv = self._verb("follow", run_dir, str(seq))
        with self.connection.stream(argv, idle_timeout_s=_SILENCE_S, limit_bytes=limits.line_bytes) as lines:
            # A sitecustomize of the board's Python may have written before the agent began to speak.
            noise, first = 0, b""
            for line in lines:
                if noise < _NOISE_LINES and not line.startswith(b"{"):
                    noise, first = noise + 1, first or line
                    continue
                yield self._message(line, limits)
                break
            else:
                if noise:
                    self._message(first, limits)
            for line in lines:
                yield self._message(line, limits)

    def _message(self, line: bytes, limits: wire.Limits) -> dict[str, Any]:
        try:
            return wire.read(line, limits)
        except wire.MessageError as problem:
            raise MeasurementError(
                f"board {self.device.name!r}: the agent sent a line that is not a message "
                f"({problem}: {line[:80]!r}). The run goes on there; collect it with --resume."
            ) from None

    def fetch(self, run_dir: str, file: Mapping[str, Any], target: Path) -> None:
        """Bring a file of a run that the agent named with size and hash. Raises DeviceError."""
        source = folders.join(run_dir, file["name"])
        self.connection.fetch(source, target, size_bytes=file["size_bytes"], sha256=file["sha256"])

    def cancel(self, run_dir: str) -> None:
        """Stop a run and its trial."""
        self._ask("cancel", protocol.CANCELLED, run_dir)

    def fix(self, wanted: Conditioning) -> list[dict[str, Any]]:
        """Bring the board into a state once and leave it so; the steps that were taken.

        Raises DeviceBusy while somebody measures there, DeviceError where the board does not take it.
        """
        message = self._ask("fix", protocol.FIXED, self.facts.root, wanted.model_dump_json())
        if message["kind"] == protocol.BUSY:
            raise DeviceBusy(
                f"board {self.device.name!r} is busy: somebody measures on it, and a change would spoil "
                "that. Wait for the run to end."
            )
        return list(message["steps"])

    def abandon(self, run_dir: str) -> bool:
        """Stop and remove a run that nobody will collect; False where the board cannot be told."""
        try:
            self.cancel(run_dir)
            self.clean(run_dir)
        except ConnectionFailed:
            return False
        except DeviceError:  # it has no such run
            pass
        return True

    def clean(self, run_dir: str) -> None:
        """Remove the folder of a run whose messages are safe in the host's store."""
        self.connection.exec(["rm", "-rf", run_dir], timeout_s=60.0)

    def _verb(self, *words: str) -> list[str]:
        # -I: neither the user's variables nor the user's packages reach the agent.
        return [self.facts.python, "-I", self.agent, *words]

    def _ask(self, verb: str, expected: str, *args: str) -> dict[str, Any]:
        """Run a verb that answers with one message."""
        result = self.connection.exec(self._verb(verb, *args), timeout_s=_ANSWER_S)
        try:
            message = wire.read(result.stdout.strip().rpartition(b"\n")[2])
        except wire.MessageError as problem:
            tail = plain(result.stderr.decode(errors="replace").strip()[-400:])
            raise DeviceError(
                f"board {self.device.name!r}: the agent's {verb} gave no answer (exit status "
                f"{result.status}, signal {result.signal}; {problem}). It said: {tail or 'nothing'}"
            ) from None
        if message["kind"] != expected and (verb != "start" or message["kind"] != protocol.BUSY):
            raise DeviceError(
                f"board {self.device.name!r}: {verb} failed: {message.get('message', message['kind'])}"
            )
        return message


def start_run(board: Board, plan: Mapping[str, Any], *, wait: bool) -> None:
    """Start a run; ``wait``: as soon as nobody else measures on the board, who has it is told once a holder.

    Raises as ``Board.start`` does.
    """
    told = ""
    while True:
        try:
            board.start(plan)
            return
        except DeviceBusy as error:
            if not wait:
                raise
            if str(error) != told:
                told = str(error)
                board.events.stage(f"waiting: {told}")
            time.sleep(_ASK_AGAIN_S)


def _busy(name: str, holder: Mapping[str, Any]) -> DeviceBusy:
    """Who measures on the board, as far as its lock tells."""
    run_id, user = holder.get("run_id", "unknown"), holder.get("user", "unknown")
    who = f"run {run_id} of user {user}"
    text = f"board {name!r} is busy: {who} is measuring on it"
    since = holder.get("since_wall_s")
    if isinstance(since, int | float) and 0 < since < 1e11:
        text += f" since {time.strftime('%Y-%m-%d %H:%M', time.gmtime(since))} UTC by the board's clock"
    process = f"process {holder.get('pid')}"
    advice = {
        "stopped": f"But its {process} was stopped by a signal: let it go on (kill -CONT), or end it.",
        "gone": f"But its {process} cannot be seen: it is in a container, or what it started lives on.",
    }.get(str(holder.get("state")), "Two runs at once would spoil both.")
    return DeviceBusy(f"{text}. {advice} Wait for the board to be free (--wait does so), then run again.")


@contextmanager
def open_board(
    device: Device,
    *,
    runtimes: Sequence[str] = (DEFAULT_RUNTIME,),
    cache: Path,
    offline: bool,
    events: Events,
    to_measure: bool = False,
) -> Iterator[Board]:
    """Connect, look, install what is missing of ``runtimes``, and put the agent there.

    ``to_measure``: refuse a board of another kind than the device's profile, before anything is sent,
    unless the device takes any board.

    Yields the board; the connection is closed afterwards. A runtime that cannot be installed is left to
    the others, with the reason in ``Board.failed``. Raises DeviceError and its kinds, also where none of
    the runtimes can be installed.
    """
    events.stage(f"connecting to {device.name}")
    connection = connect(device)
    try:
        facts = probe_board(connection, python=device.python, folder=device.folder)
        if to_measure:
            require_profile(device, facts.compatible, facts.device_tree_model or facts.machine)
            require_board(device, facts)
        environments, failed = _provide(
            connection, facts, device, runtimes, cache=cache, offline=offline, events=events
        )
        agent = build_agent(cache)
        report = deploy(connection, facts, {"agent": agent}, progress=None)
        yield Board(
            device=device,
            connection=connection,
            facts=facts,
            environments=environments,
            failed=failed,
            agent=report.paths["agent"],
            agent_bytes=report.bytes_sent,
            events=events,
        )
    finally:
        connection.close()


def _provide(
    connection: Connection,
    facts: BoardFacts,
    device: Device,
    runtimes: Sequence[str],
    *,
    cache: Path,
    offline: bool,
    events: Events,
) -> tuple[dict[str, Environment], dict[str, str]]:
    """The environments of those runtimes that can be had, and why the others cannot."""
    environments: dict[str, Environment] = {}
    failed: dict[str, DeviceError] = {}
    for runtime in runtimes:
        try:
            environments[runtime] = provision(
                connection,
                facts,
                runtime,
                offline=offline,
                cache_dir=cache / "wheels",
                pip_index=device.pip_index,
                progress=lambda step, done, total: _tell(events, device.name, step, done, total),
            )
        except ConnectionFailed:
            raise
        except DeviceError as error:
            failed[runtime] = error
    if failed and not environments:
        raise next(iter(failed.values()))
    reasons = {runtime: str(error) for runtime, error in failed.items()}
    for runtime, why in reasons.items():
        events.warn(f"{runtime} is left out on {device.name}: {why}")
    return environments, reasons


def _tell(events: Events, name: str, step: str, done: int, total: int) -> None:
    """Provisioning as stages and, where bytes go over the wire, a bar."""
    if total:
        events.advance(done, total, "bytes")
    else:
        events.stage(f"{name}: {step}")
