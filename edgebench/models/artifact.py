"""Artifacts: model files with what is known about them, checked before anything is sent anywhere.

``load_artifact("wav2small.fp32")`` finds a packaged model, ``load_artifact("my.onnx")`` any file with a
waveform input, in a format that :mod:`edgebench.models.formats` reads. Everything wrong with a file is
a :class:`ModelError` of one paragraph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgebench.errors import ModelError, nearest
from edgebench.files import sha256_of
from edgebench.models.formats.contents import Shape, Streaming
from edgebench.models.formats.table import READERS, SUFFIXES, format_of
from edgebench.models.graph.macs import MacCount
from edgebench.models.manifest import Manifest, manifest_path, parse_manifest, read_manifest

PACKAGED = Path(__file__).parent / "packaged"
SAMPLE_RATE_HZ = 16_000  # where no manifest says another
# Packaged for comparisons with older runs; a run measures it where it is named
# (docs/decisions/0030-packaged-int8.md).
_ON_REQUEST = frozenset({"wav2small.int8_static"})


@dataclass(frozen=True)
class Artifact:
    """A model file that takes a waveform.

    ``format`` is "onnx" or "tflite". ``input_shape`` is (samples,), (batch, samples), (batch, 1, samples)
    or (batch, samples, 1), None where an axis is free. ``lengths`` are the numbers of samples that the file
    takes, sorted; empty where it takes any. ``outputs`` maps names to shapes in the file's order.
    ``opset`` is that of the standard operators and ``domains`` are the others that an ONNX file uses.
    ``parameters`` comes from the manifest, else it is counted in the file. ``manifest`` is None for a file
    that came without one: its cost can be measured, its accuracy not. ``streaming`` says how a file that
    keeps a state is fed, None for the others.
    """

    key: str
    path: Path
    sha256: str
    size_bytes: int
    manifest: Manifest | None
    format: str
    input_name: str
    input_shape: Shape
    lengths: tuple[int, ...]
    outputs: dict[str, Shape]
    parameters: int
    operators: dict[str, int]
    opset: int | None = None
    ir_version: int | None = None
    domains: tuple[str, ...] = ()
    streaming: Streaming | None = None
    _count: Callable[[int], int] = field(default=lambda _: 0, repr=False, compare=False)
    _macs: dict[int, MacCount | str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def samples(self) -> int | None:
        """The only number of samples that the file takes, or None where it takes any or several."""
        return self.lengths[0] if len(self.lengths) == 1 else None

    @property
    def sample_rate_hz(self) -> int:
        """Samples a second, by the manifest."""
        return self.manifest.sample_rate_hz if self.manifest else SAMPLE_RATE_HZ

    def macs(self, input_s: float) -> MacCount | None:
        """Multiply-accumulates at ``input_s`` seconds; None where the graph does not let them be counted."""
        found = self._counted(input_s)
        return None if isinstance(found, str) else found

    def why_no_macs(self, input_s: float) -> str | None:
        """Why :meth:`macs` gives None at this length, as one sentence; None where it gives a count."""
        found = self._counted(input_s)
        return found if isinstance(found, str) else None

    def _counted(self, input_s: float) -> MacCount | str:
        samples = round(input_s * self.sample_rate_hz)
        if samples not in self._macs:
            try:
                if self.lengths and samples not in self.lengths:
                    raise ModelError(f"MACs cannot be counted: the file does not take {samples} samples.")
                self._macs[samples] = MacCount(value=self._count(samples), input_s=input_s)
            except ModelError as error:
                self._macs[samples] = str(error)
        return self._macs[samples]


def packaged_artifacts() -> list[str]:
    """Keys of the models that ship with edgebench."""
    found = [path.stem for suffix in SUFFIXES.values() for path in PACKAGED.glob(f"*{suffix}")]
    return sorted(found)


def default_artifacts() -> list[str]:
    """Keys of the packaged models that a run measures where none is named."""
    return [key for key in packaged_artifacts() if key not in _ON_REQUEST]


def load_artifact(key_or_path: str | Path) -> Artifact:
    """Find, read and check a model.

    Raises :class:`ModelError` for a file that is missing, empty, truncated, of no format that is read here
    or without its external data; for another input than one float32 waveform (and its states); and for a
    manifest that cannot be parsed, is of another format or hash than the file, or names outputs that the
    file has not.
    """
    path = _find(key_or_path)
    format_ = format_of(path)
    contents = READERS[format_](path)
    sha256 = sha256_of(path)
    manifest = read_manifest(path)
    if manifest is None and contents.manifest is not None:
        manifest = parse_manifest(contents.manifest, source=f"inside {path}")
    if manifest is not None:
        _compare(path, manifest, format_=format_, sha256=sha256, outputs=list(contents.outputs))
    return Artifact(
        key=manifest.key if manifest else path.stem,
        path=path,
        sha256=sha256,
        size_bytes=path.stat().st_size,
        manifest=manifest,
        format=contents.format,
        input_name=contents.input_name,
        input_shape=contents.input_shape,
        lengths=contents.lengths,
        outputs=contents.outputs,
        parameters=manifest.parameters if manifest else contents.parameters,
        operators=contents.operators,
        opset=contents.opset,
        ir_version=contents.ir_version,
        domains=contents.domains,
        streaming=contents.streaming,
        _count=contents.macs,
    )


def load_artifacts(keys_or_paths: Sequence[str | Path]) -> list[Artifact]:
    """Load several models; those that would have one key are told apart by their files' names.

    Two files called ``model.onnx`` become ``first/model`` and ``second/model``, with as many folders as
    that takes; ``model.onnx`` and ``model.tflite`` keep their suffixes. Raises as ``load_artifact``.
    """
    artifacts = [load_artifact(item) for item in keys_or_paths]
    return [replace(artifact, key=_key_among(artifact, artifacts)) for artifact in artifacts]


def _key_among(artifact: Artifact, artifacts: Sequence[Artifact]) -> str:
    paths = {other.path.resolve() for other in artifacts if other.key == artifact.key}
    if len(paths) == 1:
        return artifact.key
    own = artifact.path.resolve()
    for count in range(1, len(own.parts) + 1):
        for suffix in (False, True):
            name = _tail(own, count, suffix=suffix)
            if sum(_tail(path, count, suffix=suffix) == name for path in paths) == 1:
                return name
    return str(own)


def _tail(path: Path, count: int, *, suffix: bool) -> str:
    """The last ``count`` parts of a path, the last one with its suffix or without."""
    return "/".join([*path.parts[-count:-1], path.name if suffix else path.stem])


def _find(key_or_path: str | Path) -> Path:
    text = str(key_or_path)
    if text in packaged_artifacts():
        return next(path for suffix in SUFFIXES.values() if (path := PACKAGED / f"{text}{suffix}").is_file())
    path = Path(key_or_path).expanduser()
    if path.is_dir():
        raise ModelError(f"model {text!r} is a folder; give the {' or '.join(SUFFIXES.values())} file in it.")
    if path.is_file():
        return path
    if path.suffix in SUFFIXES.values() or len(path.parts) > 1:
        raise ModelError(f"model file {text!r} does not exist. Check the path; it is read from {Path.cwd()}.")
    raise ModelError(
        f"model {text!r} is neither a packaged model nor a file: {nearest(text, packaged_artifacts())}."
    )


def _compare(path: Path, manifest: Manifest, *, format_: str, sha256: str, outputs: list[str]) -> None:
    if manifest.format != format_:
        raise ModelError(
            f"model {path} has the format {format_}, its manifest {manifest_path(path).name} says "
            f"{manifest.format}: they belong to different files. Restore the pair, or rename one of the two."
        )
    if manifest.sha256 is not None and manifest.sha256 != sha256:
        raise ModelError(
            f"model {path} has the sha256 {sha256[:12]}..., its manifest {manifest_path(path).name} says "
            f"{manifest.sha256[:12]}...: one of the two was changed alone. Restore the pair, or delete the "
            "manifest to measure the file's cost without it."
        )
    absent = [name for name in manifest.tasks if name not in outputs]
    if absent:
        raise ModelError(
            f"model {path}: its manifest names the outputs {', '.join(map(repr, absent))}, which the file "
            f"does not have (it has {', '.join(map(repr, outputs))}). Restore the right manifest."
        )
