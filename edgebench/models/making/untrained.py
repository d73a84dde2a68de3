"""Nets of random weights as files: what an architecture costs does not depend on what it has learnt.

This side knows no torch. It says where such a file lies, whether this machine can make it, and has it
made by a process of its own (``untrained_export``), so that the memory which a net of half a billion
parameters needs is given back whole, and a machine that runs out of it loses that process and no more.

A file can never pass for a model with accuracy: its key ends in ``.untrained``, its manifest gives its
outputs no meaning, says that the weights are random and from which seed, and holds no training facts.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgebench.errors import ModelError, UsageError, nearest

TAG = "untrained"
WEIGHTS = "untrained"  # the manifest's word, under scheme.weights

# Parts of architectures, which are no models: they map a waveform to something in between.
PARTS = {
    "wav2vec2_vgg7": "edgebench.models.architectures.wav2vec2_parts:FeatureExtractor",
    "wav2vec2_encoder": "edgebench.models.architectures.wav2vec2_parts:Encoder",
}

# Resident memory of the exporting process: torch and its exporter, and then the weights several times
# over (module, traced program, graph, checked copy, bytes to write). Measured on torch 2.13.
_EXPORT_BASE_BYTES = 900_000_000
_EXPORT_COPIES = 6.0
_SPARE_DISK_BYTES = 16 << 20
# What decides the bytes beside our own sources.
_LIBRARIES = ("onnx", "onnxscript", "timm", "torch", "transformers")
_STDERR_SHOWN = 600
_EXPORT = "edgebench.models.making.untrained_export"  # the process that writes a net's file


@dataclass(frozen=True)
class UntrainedNet:
    """A net of random weights: an architecture or a part of one, by name, and the seed of its weights.

    ``size_bytes``: about how large its file will be, which is what it needs of memory and disk.
    """

    name: str
    seed: int
    size_bytes: int

    @property
    def key(self) -> str:
        """The artifact's key, such as ``teacher.untrained``."""
        return f"{self.name}.{TAG}"

    def path(self, cache: Path) -> Path:
        """Where its file lies once it was made: another source, seed or library is another folder."""
        return cache / f"{self.name}-seed{self.seed}-{_version(self.name)}" / f"{self.key}.onnx"

    def make(self, cache: Path) -> Path:
        """The file, made where it is not there yet; older ones of the same net are removed.

        Raises UsageError where torch is not installed, ModelError where memory or disk do not suffice
        (saying what is needed) or the export fails.
        """
        path = self.path(cache)
        if path.is_file():
            return path
        _require_torch()
        self._require_room(cache)
        part = cache / f"{self.name}-seed{self.seed}.part-{os.getpid()}"
        with _scratch(part):
            self._export(part)
            with contextlib.suppress(OSError):  # somebody else made the same meanwhile
                part.replace(path.parent)
        self._remove_older(cache, path.parent)
        return path

    def _require_room(self, cache: Path) -> None:
        import psutil  # noqa: PLC0415

        needed = round(_EXPORT_BASE_BYTES + _EXPORT_COPIES * self.size_bytes)
        available = psutil.virtual_memory().available
        if available < needed:
            raise ModelError(
                f"net {self.name}: writing its file of {_gb(self.size_bytes)} takes about {_gb(needed)} of "
                f"memory, {_gb(available)} are available here. Free some, or leave this model out."
            )
        try:
            cache.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(cache).free
        except OSError as error:
            raise ModelError(
                f"net {self.name}: the folder {cache} cannot be made ({error.strerror or error}). Set "
                "XDG_CACHE_HOME to one that can."
            ) from None
        if free < self.size_bytes + _SPARE_DISK_BYTES:
            raise ModelError(
                f"net {self.name}: its file takes {_gb(self.size_bytes)} of disk, {_gb(free)} are free in "
                f"{cache}. Make room there, set XDG_CACHE_HOME to a larger disk, or leave this model out."
            )

    def _export(self, folder: Path) -> None:
        command = [
            sys.executable,
            "-m",
            _EXPORT,
            self.name,
            str(self.seed),
        ]
        done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        if done.returncode < 0:
            raise ModelError(
                f"net {self.name}: the process that writes its file died of signal {-done.returncode}; "
                f"signal 9 mostly means that memory ran out (about {_gb(self.size_bytes)} of weights). "
                "Free some memory, or leave this model out."
            )
        raise ModelError(
            f"net {self.name}: its file could not be written: {done.stderr.strip()[-_STDERR_SHOWN:]}"
        )

    def _remove_older(self, cache: Path, kept: Path) -> None:
        for folder in cache.glob(f"{self.name}-seed{self.seed}-*"):
            if folder != kept:
                shutil.rmtree(folder, ignore_errors=True)


def _require_torch() -> None:
    missing = [name for name in ("torch", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"making a net from its architecture needs {' and '.join(missing)}, which this environment does "
            "not have. Install the extra: pip install 'edgebench[train]'."
        )


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[None]:
    """A folder to write in, gone afterwards if it is still there."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _version(name: str) -> str:
    """A hash of what decides the bytes of a net's file beside its seed: sources and libraries."""
    total = hashlib.sha256(name.encode())
    for source in _sources(name):
        total.update(source.name.encode() + b"\0" + source.read_bytes())
    for library in _LIBRARIES:
        try:
            total.update(f"{library}={importlib.metadata.version(library)}".encode())
        except importlib.metadata.PackageNotFoundError:
            total.update(library.encode())
    return total.hexdigest()[:12]


def _sources(name: str) -> list[Path]:
    """Our own modules that decide a net's file: its builder's and the export's, and all that they import."""
    found: dict[str, Path] = {}
    waiting = [_EXPORT, builder(name).partition(":")[0]]
    while waiting:
        module = waiting.pop()
        source = _source(module)
        # This module only says where files lie.
        if source is not None and module not in found and module != __name__:
            found[module] = source
            waiting += _imports(source)
    return sorted(found.values())


def _source(module: str) -> Path | None:
    """The file of one of our model modules; None for a package, another library, or no module at all."""
    if not module.startswith("edgebench.models."):
        return None
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a name imported from a module, which is no module itself
        return None
    if spec is None or spec.origin is None or spec.submodule_search_locations is not None:
        return None
    return Path(spec.origin)


def _imports(source: Path) -> list[str]:
    """Every name that a file imports, as dotted names: modules, and what it takes from them."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def builder(name: str) -> str:
    """``module:class`` that builds a net. Raises UsageError for a name of nothing, with the nearest."""
    # By name: the table costs no torch, but its types name it, and the harness imports this module.
    table: dict[str, str] = importlib.import_module("edgebench.models.architectures").ARCHITECTURES
    known = {**table, **PARTS}
    if name not in known:
        raise UsageError(f"net {name!r} is not known: {nearest(name, known)}.")
    return known[name]


def _gb(count: float) -> str:
    return f"{count / 1e9:.2f} GB"
