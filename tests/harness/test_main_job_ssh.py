"""The whole main job over a real OpenSSH server: key, verified host key, private environment."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.accounts import Account, why_no_accounts
from support.cli import Edgebench
from support.fake_wheels import spoiling_set_up
from support.speech_models import small_model
from support.sshd import SshServer

pytestmark = pytest.mark.ssh

DEVICE, INCOMPLETE, STORE, INTERRUPTED = 5, 6, 7, 130

# Long enough to be met in the middle of a launch, and no longer: a launch keeps a processor busy.
LONG_SUITE = """\
name = "long-test"
input_s = [1.0]
launches = 3
min_duration_s = 4.5
null_runtime = false
[repeats]
budget = 0
"""


@pytest.fixture
def board(edgebench: Edgebench, ssh_server: SshServer, tmp_path: Path) -> Edgebench:
    """The command line, with ``rpi4`` an ssh alias of the server on loopback."""
    edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(ssh_server.config_path)}
    (tmp_path / "long.toml").write_text(LONG_SUITE)
    return edgebench


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(small_model(tmp_path / "my.onnx"))


def wait_for(condition: Callable[[], Any], *, what: str, limit_s: float = 60.0) -> Any:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen in {limit_s} s")


def trials_on_board(server: SshServer) -> list[int]:
    """Process ids of trials that run on the "board" of this server now."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if words[-1:] == ["trial"] and any(str(server.root) in word for word in words):
            found.append(process.pid)
    return found


@contextlib.contextmanager
def held(pid: int) -> Iterator[None]:
    """A process that stands still meanwhile, so that it has not ended however slow this machine is."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def records(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert result.returncode == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)["records"]
    return found


@pytest.mark.board
def test_packaged_models_on_a_fresh_board(make_ssh_server: Any, edgebench: Edgebench) -> None:
    """Offline wheels, a private environment made through the wire, cost and accuracy from it; and
    nothing is sent or made a second time."""
    server = make_ssh_server()
    edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(server.config_path)}
    run = ["run", "--device", "rpi4", "--force", "--offline", "--suite", "quick.toml", "--json"]
    rows = records(edgebench(*run))
    environments = [path for path in (server.root / "envs").iterdir() if path.is_dir()]
    assert len(environments) == 1

    artifacts = {row["artifact"] for row in rows}
    small = {"wav2small.packed_mixed_int8", "wav2small.packed_ternary_int8"}
    assert artifacts == {"wav2small.fp32", *small, "null"}
    scored = [row for row in rows if row["scenario"] == "offline"]
    assert len(scored) == 3
    for row in scored:
        assert row["device"] == "rpi4"
        assert row["metrics"]["ua"]["value"] > 0.3
        assert row["metrics"]["ua"]["lo"] < row["metrics"]["ua"]["value"] < row["metrics"]["ua"]["hi"]
    cost = next(row for row in rows if row["artifact"] == "wav2small.fp32" and row["input_s"] == 1.0)
    assert cost["metrics"]["latency_p50_ns"]["value"] > 0
    assert cost["metrics"]["parity_max_abs"]["value"] < 1e-4

    again = edgebench(*run)
    records(again)
    header = last_header(edgebench)
    assert header["deployment"] == {"bytes_sent": 0, "files_sent": 0, "files_present": 4}
    assert [path for path in (server.root / "envs").iterdir() if path.is_dir()] == environments
    assert not list((server.root / "runs").iterdir()), "a collected run leaves nothing on the board"


@pytest.mark.board
def test_a_board_that_nothing_is_easy_on(
    make_ssh_server: Any, edgebench: Edgebench, tmp_path: Path, model: str
) -> None:
    """A login shell that is not sh, one channel at a time, and a Python set up for other things."""
    shell = shutil.which("tcsh") or shutil.which("fish")
    if shell is None or (why := why_no_accounts()):
        pytest.skip(why if shell else "neither tcsh nor fish on this machine")
    (home := tmp_path / "home").mkdir()
    server = make_ssh_server(
        extra=["MaxSessions 1"],
        accounts=[Account("board", home, shell)],
        user="board",
        environment=spoiling_set_up(tmp_path / "theirs"),
    )
    python = tmp_path / "noisy"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", python], check=True)
    site = next((python / "lib").glob("python*/site-packages"))
    (site / "sitecustomize.py").write_text(
        "import os\nprint('welcome', end='')\nos.write(1, b'to this machine\\n')\n"
    )
    (edgebench.folder / "inventory.toml").write_text(
        f'[devices.desk]\nhost = "rpi4"\npython = "{python}/bin/python"\n'
    )
    edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(server.config_path)}
    run = ["run", "--device", "desk", "--offline", "--suite", "quick.toml", "--model", model]
    rows = records(edgebench(*run, "--json"))
    assert {row["artifact"] for row in rows} >= {"my", "null"}
    assert all(row["metrics"]["latency_p50_ns"]["value"] > 0 for row in rows if row["scenario"] != "offline")


def test_a_board_of_another_kind_is_refused_before_anything_is_sent(board: Edgebench, model: str) -> None:
    """The server on loopback is no Raspberry Pi."""
    command = ["run", "--device", "rpi4", "--offline", "--suite", "quick.toml", "--model", model]
    board.refuses(*command, status=DEVICE, says=["Raspberry Pi 4", "no device tree", "--force"])


def last_header(edgebench: Edgebench) -> dict[str, Any]:
    lines = (edgebench.store / "records.jsonl").read_text().splitlines()
    headers = [line for line in map(json.loads, lines) if line["kind"] == "run"]
    found: dict[str, Any] = headers[-1]
    return found


@pytest.mark.board
def test_a_cut_link_is_taken_up_again(board: Edgebench, ssh_server: SshServer, model: str) -> None:
    process = board.start(
        "run", "--device", "rpi4", "--force", "--offline", "--suite", "long.toml", "--model", model, "--json"
    )
    wait_for(lambda: trials_on_board(ssh_server), what="a trial on the board", limit_s=120)
    supervised = trials_on_board(ssh_server)
    for pid in ssh_server.sessions():
        if pid not in supervised:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert "lost" in err
    row = next(row for row in json.loads(out)["records"] if row["artifact"] == "my")
    assert row["verdict"]["status"] != "INCOMPLETE"
    stored = [json.loads(line) for line in (board.store / "records.jsonl").read_text().splitlines()]
    trials = [line["trial"]["id"] for line in stored if line["kind"] == "trial"]
    assert len(trials) == len(set(trials)) == 3


@pytest.mark.board
def test_a_run_outlives_its_host_and_is_collected(
    board: Edgebench, ssh_server: SshServer, model: str
) -> None:
    process = board.start(
        "run", "--device", "rpi4", "--force", "--offline", "--suite", "long.toml", "--model", model
    )
    trial = wait_for(lambda: trials_on_board(ssh_server), what="a trial on the board", limit_s=120)[0]
    process.kill()
    process.communicate()
    run_id = last_header(board)["run_id"]
    # A second user is told who measures, and nothing of the first run is disturbed.
    with held(trial):
        said = board.refuses(
            "run", "--device", "rpi4", "--force", "--offline", "--suite", "quick.toml", "--model", model,
            status=DEVICE, says=["busy", run_id],
        )  # fmt: skip
    assert "wait" in said
    result = board("run", "--resume", run_id, "--json")
    rows = records(result)
    assert [row["artifact"] for row in rows] == ["my"]
    assert rows[0]["verdict"]["status"] != "INCOMPLETE"
    board.refuses("run", "--resume", run_id, status=2, says=["already collected"])


@pytest.mark.board
def test_an_agent_killed_in_the_middle_of_a_trial(
    board: Edgebench, ssh_server: SshServer, model: str
) -> None:
    process = board.start(
        "run", "--device", "rpi4", "--force", "--offline", "--suite", "long.toml", "--model", model, "--json"
    )
    victim = wait_for(lambda: trials_on_board(ssh_server), what="a trial on the board", limit_s=120)[0]
    os.kill(victim, signal.SIGKILL)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    row = json.loads(out)["records"][0]
    assert row["verdict"]["status"] == "INCOMPLETE"
    assert "KILLED" in row["verdict"]["codes"]
    stored = [json.loads(line) for line in (board.store / "records.jsonl").read_text().splitlines()]
    outcomes = [line["trial"]["status"] for line in stored if line["kind"] == "trial"]
    assert sorted(outcomes) == ["failed", "ok", "ok"], "the trials after the killed one went on"


@pytest.mark.board
def test_a_supervisor_killed_on_the_board(board: Edgebench, ssh_server: SshServer, model: str) -> None:
    """The run is over and said to be; what was measured is kept and shown."""
    process = board.start(
        "run", "--device", "rpi4", "--force", "--offline", "--suite", "long.toml", "--model", model
    )
    trial = wait_for(lambda: trials_on_board(ssh_server), what="a trial on the board", limit_s=120)[0]
    os.kill(psutil.Process(trial).ppid(), signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == INCOMPLETE, err
    assert "ended early" in err
    assert "Traceback" not in err


@pytest.mark.board
def test_an_interrupt_stops_the_board_too(board: Edgebench, ssh_server: SshServer, model: str) -> None:
    process = board.start(
        "run", "--device", "rpi4", "--force", "--offline", "--suite", "long.toml", "--model", model
    )
    wait_for(lambda: trials_on_board(ssh_server), what="a trial on the board", limit_s=120)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, err
    assert "Traceback" not in err
    wait_for(lambda: not trials_on_board(ssh_server), what="the end of the trial on the board", limit_s=10)
    ends = [json.loads(line) for line in (board.store / "records.jsonl").read_text().splitlines()]
    assert ends[-1]["kind"] == "run_end"
    assert ends[-1]["status"] == "cancelled"


@pytest.mark.board
def test_a_run_that_cannot_be_noted_does_not_go_on_alone(
    board: Edgebench, ssh_server: SshServer, model: str, small_disk: Path
) -> None:
    """The host's disk is full when the board has started: nobody could ever collect that run."""
    (small_disk / "ballast").write_bytes(bytes(23 << 20))
    with contextlib.suppress(OSError), (small_disk / "more").open("wb", buffering=0) as rest:
        while rest.write(bytes(4096)):
            pass
    board.environment = {**board.environment, "EDGEBENCH_STORE": str(small_disk / "results")}
    run = ["run", "--device", "rpi4", "--force", "--offline", "--suite", "long.toml", "--model", model]
    left = set(ssh_server.root.rglob("runs/*"))  # by other tests, whose host or supervisor was killed
    board.refuses(*run, status=STORE, says=["No space left"])
    assert not trials_on_board(ssh_server)
    assert set(ssh_server.root.rglob("runs/*")) == left


@pytest.mark.board
def test_a_full_disk_on_the_board(
    make_ssh_server: Any, edgebench: Edgebench, small_disk: Path, model: str
) -> None:
    """The runtime does not fit: said with what to do, nothing half is left to be taken for whole."""
    server = make_ssh_server(environment={"XDG_CACHE_HOME": str(small_disk)})
    edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(server.config_path)}
    run = ["run", "--device", "rpi4", "--force", "--offline", "--suite", "quick.toml", "--model", model]
    edgebench.refuses(*run, status=DEVICE, says=["free there (nothing was sent)", "Make room"])
    assert not (edgebench.store / "records.jsonl").exists()
    assert not list(small_disk.rglob("bin/python"))


@pytest.mark.parametrize("command", [["run", "--suite", "quick.toml"], ["doctor"]])
class TestUnreachable:
    """Hosts that do not let us in. Exit 5, and what to do about it."""

    def test_down(self, edgebench: Edgebench, command: list[str], unused_port: int) -> None:
        edgebench.refuses(
            *command,
            "--device",
            "rpi4",
            "--host",
            f"pi@127.0.0.1:{unused_port}",
            status=DEVICE,
            says=["127.0.0.1", "Is the board up"],
        )

    def test_unknown_host_key(self, make_ssh_server: Any, edgebench: Edgebench, command: list[str]) -> None:
        server = make_ssh_server()
        server.known_hosts.write_text("")
        edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(server.config_path)}
        edgebench.refuses(*command, "--device", "rpi4", status=DEVICE, says=["SHA256:", "ssh"])

    def test_changed_host_key(self, make_ssh_server: Any, edgebench: Edgebench, command: list[str]) -> None:
        server, other = make_ssh_server("one"), make_ssh_server("two")
        kind, blob = other.host_key.with_name("host_key.pub").read_text().split()[:2]
        server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {kind} {blob}\n")
        edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(server.config_path)}
        edgebench.refuses(*command, "--device", "rpi4", status=DEVICE, says=["changed", "ssh-keygen -R"])

    def test_refused_key(self, make_ssh_server: Any, edgebench: Edgebench, command: list[str]) -> None:
        server = make_ssh_server()
        (server.folder / "authorized_keys").write_text("")
        edgebench.environment = {"EDGEBENCH_SSH_CONFIG": str(server.config_path)}
        edgebench.refuses(*command, "--device", "rpi4", status=DEVICE, says=["client_key"])


@pytest.fixture
def unused_port() -> int:
    from support.sshd import free_port

    return free_port()
