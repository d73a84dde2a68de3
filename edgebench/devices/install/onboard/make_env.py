"""A private environment for one runtime: made under another name, tried, then renamed.

In: {"envs": folder, "key": name, "imports": [module], "build": null | {"requirements": ["numpy==2.4.6"],
"wheels": {file name: path} | null, "index": address | null}}. With "build": null it only looks whether the
environment is there.

Out: {"python": path | null, "versions": {package: version}, "created": bool}, or
{"error": "NO_PIP" | "NO_WHEEL" | "NO_SPACE" | "NO_EXEC" | "DIES" | "FAILED", "message": text,
"signal": number | null}.
"""

from __future__ import annotations

import ast
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

# What is kept of the user's pip settings: where wheels come from. The rest says how the user installs
# for themselves (`user`, `target`, `require-hashes`, `constraint`), which would break an environment of ours.
KEPT_SETTINGS = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "trusted-host",
    "proxy",
    "cert",
    "client-cert",
    "timeout",
    "default-timeout",
    "retries",
    "keyring-provider",
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
        if os.statvfs(str(envs)).f_flag & os.ST_NOEXEC:
            raise MakeError("NO_EXEC", "its file system is mounted with noexec")
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
        run([python, str(pip / "pip"), "install", "--no-index", "--no-cache-dir", *options, *wheels])
        shutil.rmtree(str(folder))
        return
    options.append("--only-binary=:all:")
    if find_spec("ensurepip"):
        make_venv(part)
        pip_command = [python, "-m", "pip"]
    elif find_spec("pip"):
        make_venv(part, "--without-pip")
        site = run([python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"]).strip()
        pip_command = [sys.executable, "-m", "pip"]
        options += ["--target", site]
    else:
        raise MakeError("NO_PIP", "this Python has neither ensurepip nor pip")
    # With the network, the board's own index, certificates and proxy hold.
    settings = pip_settings(pip_command)
    if what["index"] is not None:
        options += ["--index-url", what["index"]]
        settings.pop("PIP_NO_INDEX", None)
    run([*pip_command, "install", *options, *what["requirements"]], settings)


def pip_settings(pip_command: list[str]) -> dict[str, str]:
    """What is kept of pip's configuration files and variables on the board, as variables."""
    theirs = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    kept: dict[str, str] = {}
    said = run([*pip_command, "config", "list"], theirs, configured=True)
    # Lines such as `install.find-links='/wheels'`; what stands further down goes before the rest in pip too.
    for section in ("global", "install", ":env:"):
        for line in said.splitlines():
            name, _, value = line.partition("=")
            where, _, key = name.partition(".")
            if where == section and key in KEPT_SETTINGS:
                kept["PIP_" + key.upper().replace("-", "_")] = str(ast.literal_eval(value))
    return kept


def make_venv(part: Path, *options: str) -> None:
    if find_spec("venv") is None:
        raise MakeError("NO_PIP", "this Python has no venv module")
    run([sys.executable, "-m", "venv", *options, str(part)])


def run(argv: list[str], settings: dict[str, str] | None = None, *, configured: bool = False) -> str:
    """Run a program where nothing of the user's Python gets in: no folders of modules, no pip settings.

    ``settings`` are variables of pip's that hold. ``configured``: its configuration files hold too.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    kept.update(settings or {}, PYTHONNOUSERSITE="1")
    if not configured:
        kept["PIP_CONFIG_FILE"] = os.devnull
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
