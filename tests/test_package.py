"""What `pip install` brings: every data file, and no torch."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout, really built."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode and "hatchling" in built.stderr and "No matching distribution" in built.stderr:
        pytest.skip("no package index: the build backend cannot be fetched")
    assert built.returncode == 0, built.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "edgebench"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert set(listed.stdout.split()) - set(wheel.namelist()) == set()


def test_the_packaged_models_are_small(wheel: zipfile.ZipFile) -> None:
    sizes = [item.file_size for item in wheel.infolist() if item.filename.endswith(".onnx")]
    assert len(sizes) == 4
    assert sum(sizes) < 550_000


def test_the_measuring_side_does_not_ask_for_torch(wheel: zipfile.ZipFile) -> None:
    metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    required = [
        line for line in wheel.read(metadata).decode().splitlines() if line.startswith("Requires-Dist:")
    ]
    torch = [line for line in required if "torch" in line]
    assert torch
    assert all("extra ==" in line for line in torch)


@pytest.mark.parametrize("command", [["--help"], ["models"], ["devices"], ["run", "--plan"]])
def test_commands_of_the_measuring_side_never_import_torch(command: list[str]) -> None:
    script = (
        "import sys; sys.modules['torch'] = None; sys.modules['sklearn'] = None\n"
        f"sys.argv = ['edgebench', *{command!r}]\n"
        "from edgebench.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    raise SystemExit(end.code)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", ["edgebench.errors", "edgebench.cli.app"])
def test_ctrl_c_while_the_commands_are_still_read_is_one_like_any_other(module: str) -> None:
    script = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == '{module}': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from edgebench.cli import main\n"
        "main(['models'])\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (130, "edgebench: interrupted\n")
