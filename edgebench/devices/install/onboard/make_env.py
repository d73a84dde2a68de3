"""A private environment for one runtime: made under another name, tried, then renamed.

In: {"envs": folder, "key": name, "imports": [module], "build": null | {"requirements": ["numpy==2.4.6"],
"wheels": {file name: path} | null, "index": address | null}}. With "build": null it only looks whether the
environment is there.

Out: {"python": path | null, "versions": {package: version}, "created": bool}, or
{"error": "NO_PIP" | "NO_WHEEL" | "NO_SPACE" | "DIES" | "FAILED", "message": text, "signal": number | null}.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

IMPORT = (
    "import importlib, json, sys; names = sys.argv[1:]; "
    "[importlib.import_module(name) for name in names]; "
    "packages = [name.partition('.')[0] for name in names]; "
    "print(json.dumps({name: sys.modules[name].__version__ for name in packages}))"
)


class MakeError(Exception):
    def __init__(self, code: str, message: str, signal: int | None = None) -> None:
        super().__init__(message)
        self.answer = {"error": code, "message": message[-1500:], "signal": signal}


def main() -> None:
    request = json.load(sys.stdin)
    envs = Path(request["envs"])
    try:
        envs.mkdir(parents=True, exist_ok=True)
        # Two users who want the same environment: the second waits and finds it made.
        with (envs / (request["key"] + ".lock")).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            answer = provide(request, envs)
    except MakeError as failure:
        answer = failure.answer
    except OSError as error:
        answer = {"error": "NO_SPACE" if error.errno == errno.ENOSPC else "FAILED", "message": str(error)}
    json.dump(answer, sys.stdout)


def provide(request: dict[str, Any], envs: Path) -> dict[str, Any]:
    target = envs / request["key"]
    imports = request["imports"]
    if (target / "bin" / "python").exists():
        try:
            versions = try_imports(target, imports)
            return {"python": str(target / "bin" / "python"), "versions": versions, "created": False}
        except MakeError:
            pass  # it broke since, for example by an upgrade of the system's Python: made anew
    if request["build"] is None:
        return {"python": None, "versions": {}, "created": False}
    # We hold the lock, so a half that lies here was left by a process that died.
    for half in envs.glob(request["key"] + ".part-*"):
        shutil.rmtree(str(half), ignore_errors=True)
    part = envs / (request["key"] + ".part-" + secrets.token_hex(4))
    try:
        build(part, request["build"])
        versions = try_imports(part, imports)
        if target.exists():
            shutil.rmtree(str(target))
        part.rename(target)
    finally:
        shutil.rmtree(str(part), ignore_errors=True)
    return {"python": str(target / "bin" / "python"), "versions": versions, "created": True}


def build(part: Path, what: dict[str, Any]) -> None:
    python = str(part / "bin" / "python")
    options = ["--no-deps", "--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
    # The imports that follow compile what a trial imports. The rest of numpy would take a slow board minutes.
    options.append("--no-compile")
    if what["wheels"] is not None:
        make_venv(part, "--without-pip")
        folder = part / "wheels"
        folder.mkdir()
        # pip reads a wheel's tags from its file name, which the blob does not have.
        for name, blob in what["wheels"].items():
            (folder / name).symlink_to(blob)
        pip = next(path for path in folder.iterdir() if path.name.startswith("pip-"))
        wheels = [str(path) for path in sorted(folder.iterdir()) if path != pip]
        run(
            [
                python,
                str(pip / "pip"),
                "--isolated",
                "install",
                "--no-index",
                "--no-cache-dir",
                *options,
                *wheels,
            ]
        )
        shutil.rmtree(str(folder))
        return
    # With the network, the board's own pip settings hold: its index, its certificates, its proxy.
    options.append("--only-binary=:all:")
    if what["index"] is not None:
        options += ["--index-url", what["index"]]
    if find_spec("ensurepip"):
        make_venv(part)
        run([python, "-m", "pip", "install", *options, *what["requirements"]])
    elif find_spec("pip"):
        make_venv(part, "--without-pip")
        site = run([python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"]).strip()
        run([sys.executable, "-m", "pip", "install", "--target", site, *options, *what["requirements"]])
    else:
        raise MakeError("NO_PIP", "this Python has neither ensurepip nor pip")


def make_venv(part: Path, *options: str) -> None:
    if find_spec("venv") is None:
        raise MakeError("NO_PIP", "this Python has no venv module")
    run([sys.executable, "-m", "venv", *options, str(part)])


def run(argv: list[str]) -> str:
    # Nothing of the user's Python gets in: neither folders of modules, nor a pip.conf with `user = true`.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    kept.update(PYTHONNOUSERSITE="1", PIP_USER="0")
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=kept)
    said = (done.stdout + b"\n" + done.stderr).decode(errors="replace").strip()
    if done.returncode == 0:
        return done.stdout.decode(errors="replace")
    if done.returncode < 0:
        raise MakeError("DIES", said, -done.returncode)
    if "No space left on device" in said:
        raise MakeError("NO_SPACE", said)
    # pip says so both where no wheel fits and where the index cannot be reached; the latter first warns.
    no_wheel = "No matching distribution found" in said or "is not a supported wheel on this platform" in said
    raise MakeError("NO_WHEEL" if no_wheel and "Retrying" not in said else "FAILED", said)


def try_imports(env: Path, imports: list[str]) -> dict[str, str]:
    """Import in a process of its own: a runtime built for another processor dies of SIGILL."""
    said = run([str(env / "bin" / "python"), "-I", "-c", IMPORT, *imports])
    versions: dict[str, str] = json.loads(said.strip().splitlines()[-1])
    return versions


if __name__ == "__main__":
    os.umask(0o022)
    main()
