"""Profiles, inventory, and what a name means."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from edgebench.devices import (
    Device,
    load_profile,
    match_profile,
    parse_conditioning,
    profiles,
    read_inventory,
    resolve_device,
)
from edgebench.devices.boards.profiles import parse_profile
from edgebench.devices.links.connection import TimeLimits
from edgebench.errors import ConfigError, UsageError

BOARDS = {
    "rpi3",
    "rpi4",
    "rpi5",
    "rpi_zero2w",
    "jetson_nano",
    "jetson_orin_nano",
    "jetson_orin_nx",
    "jetson_agx_orin",
}


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGEBENCH_INVENTORY", raising=False)
    monkeypatch.delenv("EDGEBENCH_SSH_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def inventory(tmp_path: Path, text: str) -> Path:
    (path := tmp_path / "inventory.toml").write_text(text)
    return path


# Profiles.


def test_every_profile_file_is_a_profile() -> None:
    files = {e.name for e in resources.files("edgebench.devices").joinpath("profiles").iterdir()}
    assert {f"{name}.toml" for name in profiles()} == {name for name in files if name.endswith(".toml")}
    assert set(profiles()) == BOARDS | {"local"}


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_board_says_what_decides_its_figures(name: str) -> None:
    profile = load_profile(name)
    assert profile.match
    assert profile.features is not None
    assert profile.memory_mib
    # int8 dot products came with ARMv8.2: the A76 of the Pi 5 and the A78AE of Orin have them.
    assert profile.features.asimddp == ("A76" in (profile.cpu or "") or "A78AE" in (profile.cpu or ""))
    assert all(match_profile((text,)) is profile for text in profile.match), "two profiles claim one board"
    # A temperature without the document that it is from would be a guess.
    assert (profile.max_start_temperature_c is None) == (profile.temperature_source is None)


def test_what_a_run_may_change_on_a_board(tmp_path: Path) -> None:
    text = '[devices.desk]\nhost = "x"\ncondition = { governor = "performance", cool_c = 60 }\n'
    wanted = resolve_device("desk", inventory=inventory(tmp_path, text)).conditioning
    assert wanted is not None and wanted.model_dump() == {
        "governor": "performance", "mode": None, "clocks": None, "cool_c": 60.0, "cool_limit_s": 600.0,
    }  # fmt: skip
    assert parse_conditioning(["governor=performance,cool=60"]) == wanted
    assert parse_conditioning(["governor=performance", "cool=60"]) == wanted
    assert parse_conditioning([]) is None
    assert resolve_device("rpi4").conditioning is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("performance", "NAME=VALUE"),
        ("governor=", "NAME=VALUE"),
        ("govenor=performance", "governor"),
        ("clocks=1500", "clocks"),
        ("cool=warm", "cool_c"),
        ("cool=-4", "cool_c"),
        ("governor=../../x", "governor"),
    ],
)
def test_a_condition_that_is_none(text: str, says: str) -> None:
    with pytest.raises(UsageError, match="--condition") as caught:
        parse_conditioning([text])
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["rpi3", "rpi4", "rpi5", "rpi_zero2w"])
def test_where_raspberry_pis_slow_down(name: str) -> None:
    """Their documentation: between 80 and 85 C the ARM cores are throttled back, on all models."""
    assert load_profile(name).max_start_temperature_c == 80.0


@pytest.mark.parametrize(
    ("name", "compatible", "fits"),
    [
        ("rpi5", ("raspberrypi,5-model-b", "brcm,bcm2712"), True),
        ("rpi5", ("raspberrypi,4-model-b", "brcm,bcm2711"), False),
        ("rpi5", (), False),
        ("jetson_orin_nano", ("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005"), True),
        ("jetson_orin_nano", ("nvidia,p3768-0000+p3767-0000", "nvidia,p3767-0000"), False),
        ("local", (), True),
        ("local", ("raspberrypi,5-model-b",), True),
    ],
)
def test_a_profile_knows_its_boards(name: str, compatible: tuple[str, ...], fits: bool) -> None:
    assert load_profile(name).describes(compatible) == fits


@pytest.mark.parametrize(
    ("compatible", "name"),
    [
        (("raspberrypi,4-model-b", "brcm,bcm2711"), "rpi4"),
        (("raspberrypi,5-model-b", "brcm,bcm2712"), "rpi5"),
        (("raspberrypi,3-model-b", "brcm,bcm2837"), "rpi3"),
        (("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"), "jetson_orin_nano"),
        (("nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005", "nvidia,tegra234"), "jetson_agx_orin"),
        (("linux,dummy-virt",), None),
        ((), None),
    ],
)
def test_boards_are_recognised(compatible: tuple[str, ...], name: str | None) -> None:
    found = match_profile(compatible)
    assert (found.name if found else None) == name


def test_an_unknown_key_is_named_with_its_path_and_the_keys_there_are() -> None:
    with pytest.raises(ConfigError, match=r"profile 'x': unknown key 'titel'; did you mean 'title'"):
        parse_profile("x", 'title = "X"\ntitel = "X"')
    with pytest.raises(ConfigError, match=r"unknown key 'features.i8'; Known: asimddp\."):
        parse_profile("x", 'title = "X"\nfeatures = { asimddp = true, i8 = true }')
    with pytest.raises(ConfigError, match="'title' is missing"):
        parse_profile("x", "")
    with pytest.raises(ConfigError, match="not TOML"):
        parse_profile("x", "title = ")


# Inventory.


def test_no_inventory_is_an_empty_one_unless_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_inventory().devices == {}
    with pytest.raises(ConfigError, match="does not exist"):
        read_inventory(tmp_path / "none.toml")
    monkeypatch.setenv("EDGEBENCH_INVENTORY", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match="does not exist"):
        read_inventory()


def test_the_default_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "config" / "edgebench"
    folder.mkdir(parents=True)
    (folder / "inventory.toml").write_text('[devices.a]\nhost = "a"\n')
    assert set(read_inventory().devices) == {"a"}
    monkeypatch.setenv("EDGEBENCH_INVENTORY", str(inventory(tmp_path, '[devices.b]\nhost = "b"\n')))
    assert set(read_inventory().devices) == {"b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[devices.a]\nhost = "h"\nprofil = "rpi4"', r"'devices\.a\.profil'; did you mean 'profile'"),
        ('[device.a]\nhost = "h"', r"unknown key 'device'; did you mean 'devices'"),
        ('[devices.a]\nprofile = "rpi4"', r"'devices\.a\.host' is missing"),
        ('[devices.a]\nhost = "h"\nport = "22"', r"'devices\.a\.port': .*found '22'"),
        ('[devices.a]\nhost = "h"\nport = 0', r"'devices\.a\.port': .*found 0"),
        ('[devices.a]\nhost = "-oProxyCommand=x"', r"'devices\.a\.host': "),
        ('[devices.a]\nhost = "h"\npassword = "p"', r"devices\.a\.password: edgebench keeps no passwords"),
        ('[devices.a]\nhost = "h"\nfolder = "here"', r"'devices\.a\.folder': "),
        ('[devices.a]\nhost = "h"\npip_index = "http://me:word@h/"', r"'devices\.a\.pip_index': "),
        ('[devices.a]\nhost = "h"\ntime_limits = { conect_s = 1 }', "did you mean 'connect_s'"),
        ('[devices.a]\nhost = "h"\ntime_limits = { stall_s = 0 }', r"'devices\.a\.time_limits\.stall_s': "),
        ('[devices.a]\nhost = "h"\nboard_sha256 = "A1"', r"'devices\.a\.board_sha256': "),
        ("[devices.a", "is not TOML"),
    ],
)  # fmt: skip
def test_what_an_inventory_must_not_say(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        read_inventory(inventory(tmp_path, text))


# Names.


def test_local() -> None:
    assert resolve_device("local") == Device("local", load_profile("local"), is_local=True)
    with pytest.raises(UsageError, match="takes no --host"):
        resolve_device("local", host="pi@board")


def test_a_profile_by_its_ssh_alias_or_by_host(tmp_path: Path) -> None:
    assert resolve_device("rpi4") == Device("rpi4", load_profile("rpi4"), host="rpi4")
    there = resolve_device("rpi4", host="pi@192.168.1.20:2222", ssh_config=tmp_path / "c")
    assert (there.host, there.user, there.port, there.ssh_config) == (
        "192.168.1.20",
        "pi",
        2222,
        tmp_path / "c",
    )
    assert there.profile_name == "rpi4"
    with pytest.raises(UsageError, match="--host"):
        resolve_device("rpi4", host="pi@")


def test_an_inventory_entry(tmp_path: Path) -> None:
    text = '[devices.desk]\nprofile = "rpi5"\nhost = "10.0.0.2"\nuser = "pi"\nport = 23\n'
    text += 'key = "~/k"\npython = "/p"\n'
    path = inventory(tmp_path, text)
    desk = resolve_device("desk", inventory=path)
    assert desk == Device(
        "desk",
        load_profile("rpi5"),
        host="10.0.0.2",
        user="pi",
        port=23,
        key=Path("~/k").expanduser(),
        python="/p",
    )
    moved = resolve_device("desk", inventory=path, host="other")
    assert moved == replace(desk, host="other")
    moved = resolve_device("desk", inventory=path, host="me@other:24")
    assert moved == replace(desk, host="other", user="me", port=24)


def test_what_an_entry_says_of_the_board_and_the_link(tmp_path: Path) -> None:
    text = '[devices.desk]\nhost = "10.0.0.2"\nfolder = "~/on disk"\npip_index = "https://pypi.lab/simple"\n'
    text += f'time_limits = {{ connect_s = 60, stall_s = 90.5 }}\nboard_sha256 = "{"a" * 64}"\n'
    path = inventory(tmp_path, text)
    usual = TimeLimits()
    for found in (
        resolve_device("desk", inventory=path),
        resolve_device("desk", inventory=path, host="other"),  # reached otherwise, and the same board
    ):
        assert (found.folder, found.pip_index) == ("~/on disk", "https://pypi.lab/simple")
        assert found.board_sha256 == "a" * 64
        assert found.limits == replace(usual, connect_s=60.0, stall_s=90.5)


def test_names_nobody_knows(tmp_path: Path) -> None:
    path = inventory(
        tmp_path, '[devices.desk]\nhost = "10.0.0.2"\n[devices.bad]\nhost = "x"\nprofile = "rpi6"\n'
    )
    with pytest.raises(UsageError, match=r"no device 'rpi44': did you mean 'rpi4'"):
        resolve_device("rpi44", inventory=path)
    with pytest.raises(UsageError, match=r"no device 'dsk': did you mean 'desk'"):
        resolve_device("dsk", inventory=path)
    with pytest.raises(ConfigError, match=r"devices\.bad\.profile: there is no board profile 'rpi6'"):
        resolve_device("bad", inventory=path)
    with pytest.raises(ConfigError, match="calls a board 'local'"):
        resolve_device("desk", inventory=inventory(tmp_path, '[devices.local]\nhost = "x"\n'))


def test_ssh_config_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBENCH_SSH_CONFIG", "/some/config")
    assert resolve_device("rpi4").ssh_config == Path("/some/config")


def test_runtimes_table() -> None:
    table = tomllib.loads(resources.files("edgebench.devices.install").joinpath("runtimes.toml").read_text())
    pins = table["onnxruntime"]["python"]
    assert list(pins) == [f"3.{minor}" for minor in range(8, 15)]
    for version, packages in pins.items():
        assert set(packages) == {"onnxruntime", "numpy", "pip"}, version
        # Dies with SIGILL on a Raspberry Pi 4.
        assert packages["onnxruntime"] != "1.21.0"


def test_naming_boards_does_not_load_the_ssh_library() -> None:
    """`edgebench --help` and `edgebench devices` stay fast."""
    program = "import sys, edgebench.devices as d; d.profiles(); sys.exit('paramiko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
