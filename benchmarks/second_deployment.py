"""Bytes that a second deployment of the same agent, models and corpus sends over SSH."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import MissingError, Row, Settings, Spread, Target, Tick, main
from benchmarks.launch import scratch, subjects
from edgebench.corpora import synthetic_corpus, write_pack
from edgebench.devices import build_agent, connect, deploy, probe_board, resolve_device

COMPARED = (
    "Bytes of files sent to a real OpenSSH server on loopback by a first deployment of the agent, the "
    "packaged models and the packed synthetic corpus, and by a second one over a new connection. Counted "
    "where the connection copies, not taken from the deployment's own report."
)
NOTHING = Target("0", 0, 0, every=True)


class Counting:
    """A connection that counts what its copies move."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.copied_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def put(self, source: Path, target: str, *, progress: Callable[[int], None] | None = None) -> None:
        """Copy, and count."""

        def moved(count: int) -> None:
            self.copied_bytes += count
            if progress:
                progress(count)

        self._connection.put(source, target, progress=moved)


def run(settings: Settings, tick: Tick) -> Iterator[Row]:
    """First and second deployment. Raises MissingError without an SSH server or models."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from support.sshd import SshServer, find_sshd

    if find_sshd() is None:
        raise MissingError(
            "there is no sshd on this machine; install an OpenSSH server (Debian: openssh-server)."
        )
    with scratch() as folder:
        clips = synthetic_corpus()[: 4 if settings.quick else None]
        files = {artifact.key: artifact.path for artifact in subjects()}
        files["agent"] = build_agent(folder)
        files["corpus"] = write_pack(clips, folder / "corpus.pack").path
        total_bytes = sum(path.stat().st_size for path in files.values())
        server = SshServer(folder / "sshd").start()
        try:
            sent = [_deploy(server.config_path, files, tick, number) for number in (1, 2)]
        finally:
            server.stop()
    whole = Target("all of it", total_bytes, total_bytes)
    detail = f"{len(files)} files: {', '.join(files)}"
    yield Row("first deployment", Spread.of([sent[0]]), "bytes", whole, detail)
    yield Row("second deployment", Spread.of([sent[1]]), "bytes", NOTHING)


def _deploy(ssh_config: Path, files: dict[str, Path], tick: Tick, number: int) -> int:
    connection = Counting(connect(resolve_device("rpi4", ssh_config=ssh_config)))
    try:
        report = deploy(connection, probe_board(connection), files)
    finally:
        connection.close()
    if report.bytes_sent != connection.copied_bytes:
        raise RuntimeError(f"deploy reports {report.bytes_sent} bytes, {connection.copied_bytes} were copied")
    tick(number, 2)
    return connection.copied_bytes


if __name__ == "__main__":
    main("second_deployment", __doc__)
