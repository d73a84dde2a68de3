"""The runtime's environment on a board, made through the wire of a real OpenSSH server."""

from __future__ import annotations

import ast
import dataclasses
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from support.fake_wheels import fill_cache, spoiling_set_up
from support.runtimes import runtime_python
from support.sshd import SshServer

from edgebench.agent.runtimes.table import RUNTIMES
from edgebench.devices import BoardFacts, connect, deploy, probe_board, provision, resolve_device
from edgebench.devices.install.provision import pins_for
from edgebench.devices.install.wheels import pick_wheels, platform_tags, wheel_folder
from edgebench.devices.links.connection import Connection
from edgebench.errors import BoardUnfit, DeviceError, UsageError

MakeServer = Callable[..., SshServer]
# The board's pip goes to a port where nobody listens: whoever asks the network fails at once.
NO_NETWORK = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_RETRIES": "0",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}
# This machine's pip settings, for the board that has a network: it is this machine.
PIP_SETTINGS = {
    name: value
    for name, value in os.environ.items()
    if name.startswith("PIP_") or name.lower() in ("http_proxy", "https_proxy", "no_proxy", "ssl_cert_file")
}


def reach(server: SshServer) -> tuple[Connection, BoardFacts]:
    connection = connect(resolve_device("rpi4", ssh_config=server.config_path))
    return connection, probe_board(connection)


@pytest.fixture(scope="session")
def wheel_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheels")


@pytest.fixture
def doubling_model(tmp_path: Path) -> Path:
    """A real ONNX file: y = x + x."""
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", shape[:1], shape[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "double.onnx")
    return tmp_path / "double.onnx"


def infers(connection: Connection, facts: BoardFacts, python: str, model: Path) -> bool:
    blob = deploy(connection, facts, {"model": model}).paths["model"]
    program = (
        "import sys, numpy, onnxruntime as o; "
        "s = o.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider']); "
        "print(s.run(None, {'x': numpy.float32([[1, 2, 3]])})[0].tolist())"
    )
    result = connection.exec([python, "-I", "-c", program, blob], timeout_s=60)
    return result.stdout.strip() == b"[[2.0, 4.0, 6.0]]"


@pytest.mark.ssh
@pytest.mark.board
def test_offline_wheels_make_an_environment_that_infers(
    make_ssh_server: MakeServer, wheel_cache: Path, doubling_model: Path
) -> None:
    server = make_ssh_server(environment=NO_NETWORK)
    connection, facts = reach(server)
    steps: list[tuple[str, int, int]] = []
    made = provision(
        connection, facts, offline=True, cache_dir=wheel_cache, progress=lambda *step: steps.append(step)
    )
    pins = pins_for("onnxruntime", facts)
    assert made.created
    assert made.versions == {"numpy": pins["numpy"], "onnxruntime": pins["onnxruntime"]}
    assert made.python == f"{facts.envs}/{made.key}/bin/python"
    assert infers(connection, facts, made.python, doubling_model)
    sending = [step for step in steps if step[0] == "sending wheels"]
    assert sending[-1][1] == sending[-1][2] > 10_000_000
    # Nothing but the environment and its lock: no half, no wheels folder.
    assert {path.name for path in (server.root / "envs").iterdir()} == {made.key, f"{made.key}.lock"}
    assert not (server.root / "envs" / made.key / "wheels").exists()

    # The second time the board is asked once, and the host's wheels are not even looked for.
    steps.clear()
    again = provision(
        connection,
        facts,
        offline=True,
        cache_dir=Path("/nonexistent"),
        progress=lambda *step: steps.append(step),
    )
    assert again == dataclasses.replace(made, created=False)
    assert [step for step, _, _ in steps] == ["looking for the environment"]
    connection.close()


@pytest.mark.ssh
@pytest.mark.board
def test_with_the_network_pip_on_the_board_does_it(
    make_ssh_server: MakeServer, doubling_model: Path, tmp_path: Path
) -> None:
    """Also where the user's set-up would spoil it, in variables and in a pip.conf (pip#8977)."""
    theirs = spoiling_set_up(tmp_path / "theirs") | {"PIP_USER": "1"}
    connection, facts = reach(make_ssh_server(environment={**PIP_SETTINGS, **theirs}))
    if not (facts.has_ensurepip or facts.has_pip):
        pytest.skip("this machine's Python has neither ensurepip nor pip")
    made = provision(connection, facts)
    pins = pins_for("onnxruntime", facts)
    assert made.versions == {"numpy": pins["numpy"], "onnxruntime": pins["onnxruntime"]}
    assert infers(connection, facts, made.python, doubling_model)
    connection.close()


@pytest.mark.ssh
@pytest.mark.board
def test_without_network_and_without_offline(make_ssh_server: MakeServer) -> None:
    settings = {**NO_NETWORK, "PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}
    server = make_ssh_server(environment=settings)
    connection, facts = reach(server)
    # The index of the inventory goes before the one of the board's own settings.
    with pytest.raises(DeviceError, match=r"use --offline.*127\.0\.0\.1.*\b8\b"):
        provision(connection, facts, pip_index="http://127.0.0.1:8/simple")
    assert [path.name for path in (server.root / "envs").iterdir() if path.is_dir()] == []
    connection.close()


# With small stand-ins for the wheels of numpy and onnxruntime: what pip and the board do is real.


@pytest.fixture
def fake_cache(tmp_path: Path, wheel_cache: Path) -> Callable[[BoardFacts, str], Path]:
    """A host cache whose runtime is the text given, and whose pip is real."""

    def make(facts: BoardFacts, text: str) -> Path:
        wheels = pick_wheels(pins_for("onnxruntime", facts), facts, cache_dir=wheel_cache)
        pip = next(path for name, path in wheels.items() if name.startswith("pip-"))
        return fill_cache(tmp_path / "fake-cache", facts, pip=pip, text=text)

    return make


FakeCache = Callable[[BoardFacts, str], Path]


@pytest.mark.ssh
def test_a_runtime_that_dies_on_this_processor(make_ssh_server: MakeServer, fake_cache: FakeCache) -> None:
    """As onnxruntime 1.21.0 does on a Pi 4."""
    server = make_ssh_server(environment=NO_NETWORK)
    connection, facts = reach(server)
    cache = fake_cache(facts, "import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    with pytest.raises(BoardUnfit, match=r"dies of signal 4 \(SIGILL\)"):
        provision(connection, facts, offline=True, cache_dir=cache)
    assert [path.name for path in (server.root / "envs").iterdir() if path.is_dir()] == []
    connection.close()


@pytest.mark.ssh
def test_an_environment_that_broke_is_made_anew(make_ssh_server: MakeServer, fake_cache: FakeCache) -> None:
    server = make_ssh_server(environment=NO_NETWORK)
    connection, facts = reach(server)
    cache = fake_cache(facts, "")
    made = provision(connection, facts, offline=True, cache_dir=cache)
    half = server.root / "envs" / f"{made.key}.part-dead"
    half.mkdir()
    module = next((server.root / "envs" / made.key).rglob("onnxruntime/__init__.py"))
    module.write_text("raise ImportError('upgraded away')")
    again = provision(connection, facts, offline=True, cache_dir=cache)
    assert again.created
    assert again.key == made.key
    assert not half.exists()
    connection.close()


@pytest.mark.ssh
def test_two_at_once_make_one(make_ssh_server: MakeServer, fake_cache: FakeCache, tmp_path: Path) -> None:
    server = make_ssh_server(environment={**NO_NETWORK, **spoiling_set_up(tmp_path / "theirs")})
    connection, facts = reach(server)
    cache = fake_cache(facts, "")
    connection.close()
    found, errors = [], []

    def make() -> None:
        try:
            own, own_facts = reach(server)
            found.append(provision(own, own_facts, offline=True, cache_dir=cache))
            own.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(env.created for env in found) == [False, True]
    assert len({env.python for env in found}) == 1


@pytest.mark.ssh
def test_a_full_disk(make_ssh_server: MakeServer, fake_cache: FakeCache, small_disk: Path) -> None:
    """The wheels fit, and what is in them does not: refused before they are sent. And where somebody else
    takes the room meanwhile."""
    server = make_ssh_server(environment={**NO_NETWORK, "XDG_CACHE_HOME": str(small_disk)})
    connection, facts = reach(server)
    cache = fake_cache(facts, "#" * (30 << 20))
    with pytest.raises(BoardUnfit, match=r"take 5\d MB at .* 2\d MB are free there \(nothing was sent\)"):
        provision(connection, facts, offline=True, cache_dir=cache)
    assert not (small_disk / "edgebench" / "blobs").exists()
    promised = dataclasses.replace(facts, disk_free_bytes=1 << 40)
    with pytest.raises(BoardUnfit, match="the disk is full"):
        provision(connection, promised, offline=True, cache_dir=cache)
    assert [path.name for path in (small_disk / "edgebench" / "envs").iterdir() if path.is_dir()] == []
    connection.close()


@pytest.mark.ssh
def test_a_folder_where_nothing_can_be_run(
    make_ssh_server: MakeServer, fake_cache: FakeCache, small_disk: Path, tmp_path: Path
) -> None:
    """Said before anything is sent; and the advice, another folder, helps."""
    subprocess.run(["mount", "-o", "remount,noexec", str(small_disk)], check=True)
    connection, facts = reach(make_ssh_server(environment={**NO_NETWORK, "XDG_CACHE_HOME": str(small_disk)}))
    with pytest.raises(BoardUnfit, match=r"mounted with noexec.*folder = in the inventory") as refused:
        provision(connection, facts, offline=True, cache_dir=Path("/nonexistent"))
    assert "--offline" not in str(refused.value)
    assert not (small_disk / "edgebench" / "blobs").exists()
    elsewhere = probe_board(connection, folder=str(tmp_path / "elsewhere"))
    assert provision(connection, elsewhere, offline=True, cache_dir=fake_cache(facts, "")).created
    connection.close()


@pytest.mark.ssh
def test_advice_that_was_followed_is_not_given_again(
    make_ssh_server: MakeServer, fake_cache: FakeCache
) -> None:
    connection, facts = reach(make_ssh_server(environment=NO_NETWORK))
    cache = fake_cache(facts, "raise ImportError('libgomp.so.1: cannot open shared object file')")
    with pytest.raises(DeviceError, match=r"libgomp\.so\.1") as refused:
        provision(connection, facts, offline=True, cache_dir=cache)
    assert "--offline" not in str(refused.value)
    connection.close()


# What needs no board.


def some_board(**changes: object) -> BoardFacts:
    facts = probe_board(connect(resolve_device("local")))
    return dataclasses.replace(facts, address="pi@board", **changes)  # type: ignore[arg-type]


def test_this_machine_uses_the_python_that_runs_us() -> None:
    import numpy
    import onnxruntime

    connection = connect(resolve_device("local"))
    environment = provision(connection, probe_board(connection))
    assert environment.python == sys.executable
    assert environment.versions == {"numpy": numpy.__version__, "onnxruntime": onnxruntime.__version__}
    assert not environment.created


@pytest.mark.board
def test_a_runtime_that_edgebench_does_not_depend_on_gets_an_environment_of_its_own_here() -> None:
    """Of exact versions, whatever the Python that runs us has."""
    python = runtime_python("litert")
    pins = pins_for("litert", probe_board(connect(resolve_device("local"))))
    program = "import ai_edge_litert, numpy, sys; print(ai_edge_litert.__version__, numpy.__version__)"
    said = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == [pins["ai-edge-litert"], pins["numpy"]]
    assert python != sys.executable


@pytest.mark.parametrize("runtime", [name for name, formats in RUNTIMES.items() if formats])
def test_every_runtime_of_the_agent_can_be_installed_somewhere(runtime: str) -> None:
    found = [
        pins_for(runtime, some_board(python_version=(3, minor, 0)))
        for minor in range(9, 12)  # the Pythons for which every runtime has wheels
    ]
    assert all({"numpy", "pip"} < set(pins) and len(pins) == 3 for pins in found)


def test_wheels_for_an_aarch64_board_are_picked_here(wheel_cache: Path) -> None:
    facts = some_board(machine="aarch64", python_version=(3, 11, 2), libc_version=(2, 36))
    wheels = pick_wheels({"numpy": "2.4.6"}, facts, cache_dir=wheel_cache)
    assert list(wheels) == ["numpy-2.4.6-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl"]
    assert zipfile.ZipFile(*wheels.values()).testzip() is None


def test_too_old_a_glibc(wheel_cache: Path) -> None:
    facts = some_board(machine="aarch64", python_version=(3, 11, 2), libc_version=(2, 24))
    with pytest.raises(BoardUnfit, match=r"no wheel of numpy==2\.4\.6 .* aarch64 with glibc 2\.24"):
        pick_wheels({"numpy": "2.4.6"}, facts, cache_dir=wheel_cache)
    assert not wheel_folder(["numpy==2.4.6"], facts, wheel_cache).exists()


def test_tags_are_those_pip_itself_takes_here() -> None:
    """pip's own list for this interpreter is the oracle."""
    from pip._vendor.packaging.tags import platform_tags as pip_tags

    facts = some_board()
    theirs = [tag for tag in pip_tags() if tag.startswith("manylinux")]
    assert set(platform_tags(facts.machine, facts.libc_version)) == set(theirs)


def test_boards_for_which_there_is_no_version() -> None:
    with pytest.raises(BoardUnfit, match=r"Python 3\.99"):
        pins_for("onnxruntime", some_board(python_version=(3, 99, 0)))
    with pytest.raises(BoardUnfit, match=r"Python 3\.8, for which no version of litert"):
        pins_for("litert", some_board(python_version=(3, 8, 10)))
    with pytest.raises(BoardUnfit, match=r"Python 3\.12, for which no version of tflite_runtime"):
        pins_for("tflite_runtime", some_board(python_version=(3, 12, 1)))
    with pytest.raises(BoardUnfit, match="C library musl"):
        pins_for("onnxruntime", some_board(libc="musl"))
    with pytest.raises(UsageError, match="no runtime 'onnxruntim': did you mean 'onnxruntime'"):
        pins_for("onnxruntim", some_board())


@pytest.mark.parametrize("program", ["check_blobs", "finish_blob", "make_env"])
def test_what_runs_on_the_board_is_python_3_8(program: str) -> None:
    source = resources.files("edgebench.devices.install.onboard").joinpath(f"{program}.py").read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
