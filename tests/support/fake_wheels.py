"""Small stand-ins for the wheels of numpy and onnxruntime: what pip and the board do with them is real."""

from __future__ import annotations

import base64
import hashlib
import shutil
import zipfile
from pathlib import Path

from edgebench.devices.install.facts import BoardFacts
from edgebench.devices.install.provision import pins_for
from edgebench.devices.install.wheels import wheel_folder


def fake_wheel(folder: Path, name: str, version: str, text: str) -> None:
    """A wheel with one module of that text."""
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}/__init__.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    wheel, record = folder / f"{name}-{version}-py3-none-any.whl", ""
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")
            record += f"{member},sha256={digest},{len(content.encode())}\n"
            archive.writestr(member, content)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")


def fill_cache(cache: Path, facts: BoardFacts, *, pip: Path, text: str = "") -> Path:
    """A host's cache of wheels whose runtime is ``text``, and whose pip is the real wheel given."""
    pins = pins_for("onnxruntime", facts)
    folder = wheel_folder([f"{name}=={version}" for name, version in sorted(pins.items())], facts, cache)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(pip, folder)
    fake_wheel(folder, "numpy", pins["numpy"], f"__version__ = {pins['numpy']!r}")
    fake_wheel(folder, "onnxruntime", pins["onnxruntime"], f"__version__ = {pins['onnxruntime']!r}\n{text}")
    return cache


def spoiling_set_up(folder: Path) -> dict[str, str]:
    """Variables of a user whose Python is made up for other things: ROS, a pip that installs for the user."""
    folder.mkdir()
    (folder / "numpy.py").write_text("raise SystemExit('the numpy of somebody else')")
    (folder / "sitecustomize.py").write_text("print('welcome')")
    (folder / "pins").write_text("numpy<1\n")
    target, pins = folder / "target", folder / "pins"
    (folder / "pip.conf").write_text(
        f"[global]\nno-binary = :all:\n"
        f"[install]\nuser = true\ntarget = {target}\nconstraint = {pins}\nrequire-hashes = true\n"
    )
    return {"PYTHONPATH": str(folder), "PIP_CONFIG_FILE": str(folder / "pip.conf")}
