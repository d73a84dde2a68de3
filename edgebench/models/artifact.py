"""Artifacts: model files with what is known about them, checked before anything is sent anywhere.

``load_artifact("wav2small.fp32")`` finds a packaged model, ``load_artifact("my.onnx")`` any file with
one waveform-like input. Everything wrong with a file is a :class:`ModelError` of one paragraph.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import ModelError, nearest
from edgebench.files import sha256_of
from edgebench.models.graph.macs import MacCount, count_macs
from edgebench.models.manifest import METADATA_KEY, Manifest, manifest_path, parse_manifest, read_manifest

if TYPE_CHECKING:
    import onnx

PACKAGED = Path(__file__).parent / "packaged"
STANDARD_DOMAINS = ("", "ai.onnx")

Shape = tuple[int | None, ...]  # None: an axis that may have any length


@dataclass(frozen=True)
class Artifact:
    """A model file that takes a waveform.

    ``input_shape`` is (samples,), (batch, samples) or (batch, 1, samples), None where an axis is free.
    ``outputs`` maps names to shapes in the file's order. ``opset`` is that of the standard operators;
    ``domains`` are the others that the file uses. ``parameters`` comes from the manifest, else it is
    counted in the file. ``manifest`` is None for a file that came without one: its cost can be
    measured, its accuracy not.
    """

    key: str
    path: Path
    sha256: str
    size_bytes: int
    manifest: Manifest | None
    input_name: str
    input_shape: Shape
    outputs: dict[str, Shape]
    opset: int
    ir_version: int
    parameters: int
    domains: tuple[str, ...] = ()
    _macs: dict[float, MacCount | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def samples(self) -> int | None:
        """The only number of samples that the file takes, or None where it takes any."""
        return self.input_shape[-1]

    def macs(self, input_s: float) -> MacCount | None:
        """Multiply-accumulates at ``input_s`` seconds; None where the graph does not let them be counted."""
        if input_s not in self._macs:
            rate_hz = self.manifest.sample_rate_hz if self.manifest else 16_000
            try:
                count = count_macs(_parse(self.path), input_s=input_s, sample_rate_hz=rate_hz)
            except ModelError:
                count = None
            self._macs[input_s] = count
        return self._macs[input_s]


def packaged_artifacts() -> list[str]:
    """Keys of the models that ship with edgebench."""
    return sorted(path.stem for path in PACKAGED.glob("*.onnx"))


def load_artifact(key_or_path: str | Path) -> Artifact:
    """Find, read and check a model.

    Raises :class:`ModelError` for a file that is missing, empty, truncated, no ONNX or without its
    external data; for another input than one float32 waveform; and for a manifest that cannot be
    parsed, has another hash than the file, or names outputs that the file has not.
    """
    path = _find(key_or_path)
    model = _parse(path)
    _refuse_external_data(path, model)
    input_name, input_shape = _waveform_input(path, model)
    outputs = {value.name: _shape(value) for value in model.graph.output}
    sha256 = sha256_of(path)
    manifest = read_manifest(path) or _embedded_manifest(path, model)
    if manifest is not None:
        _compare(path, manifest, sha256=sha256, outputs=list(outputs))
    opsets = {entry.domain: int(entry.version) for entry in model.opset_import}
    return Artifact(
        key=manifest.key if manifest else path.stem,
        path=path,
        sha256=sha256,
        size_bytes=path.stat().st_size,
        manifest=manifest,
        input_name=input_name,
        input_shape=input_shape,
        outputs=outputs,
        opset=max((opsets.get(domain, 0) for domain in STANDARD_DOMAINS), default=0),
        ir_version=int(model.ir_version),
        parameters=manifest.parameters if manifest else count_parameters(model),
        domains=tuple(sorted({node.domain for node in model.graph.node} - set(STANDARD_DOMAINS))),
    )


def count_parameters(model: onnx.ModelProto) -> int:
    """Elements of the stored weights: of all initializers but shapes, indices, scales and zero points."""
    import onnx  # noqa: PLC0415

    scales = {
        name
        for node in model.graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        for name in list(node.input)[1:]
    }
    indices = (onnx.TensorProto.INT64, onnx.TensorProto.BOOL, onnx.TensorProto.STRING)
    total = 0
    for tensor in model.graph.initializer:
        if tensor.name in scales or tensor.data_type in indices:
            continue
        count = 1
        for dimension in tensor.dims:
            count *= int(dimension)
        total += count
    return total


def _find(key_or_path: str | Path) -> Path:
    text = str(key_or_path)
    packaged = PACKAGED / f"{text}.onnx"
    if text in packaged_artifacts():
        return packaged
    path = Path(key_or_path).expanduser()
    if path.is_dir():
        raise ModelError(f"model {text!r} is a folder; give the .onnx file in it.")
    if path.is_file():
        return path
    if path.suffix == ".onnx" or len(path.parts) > 1:
        raise ModelError(f"model file {text!r} does not exist. Check the path; it is read from {Path.cwd()}.")
    raise ModelError(
        f"model {text!r} is neither a packaged model nor a file: {nearest(text, packaged_artifacts())}."
    )


def _parse(path: Path) -> onnx.ModelProto:
    """The model without its external data; refuses what is not a whole ONNX model."""
    import onnx  # noqa: PLC0415

    try:
        model = onnx.load_model(path, load_external_data=False)
    except Exception as error:
        # onnx reads files with protobuf, whose errors are classes of its own.
        if isinstance(error, OSError):
            raise ModelError(f"model {path} cannot be read: {error.strerror or error}.") from None
        raise ModelError(
            f"model {path} ({path.stat().st_size} bytes) cannot be read as ONNX: it is truncated, or it is "
            "another kind of file. Copy or export it again; edgebench takes .onnx files."
        ) from None
    # An empty file, and some text files, decode as a message without fields.
    if not model.ir_version or not model.opset_import or not model.graph.node or not model.graph.output:
        raise ModelError(
            f"model {path} ({path.stat().st_size} bytes) is no ONNX model: it holds no graph. "
            "Copy or export it again; edgebench takes .onnx files."
        )
    return model


def _refuse_external_data(path: Path, model: onnx.ModelProto) -> None:
    """A board is sent one file, addressed by its hash; weights beside it would be neither sent nor hashed."""
    import onnx  # noqa: PLC0415

    places = set()
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            places |= {entry.value for entry in tensor.external_data if entry.key == "location"}
    if not places:
        return
    missing = sorted(place for place in places if not (path.parent / place).is_file())
    if missing:
        raise ModelError(
            f"model {path} keeps weights in {', '.join(map(repr, missing))} beside it, and "
            f"{'that file is' if len(missing) == 1 else 'those files are'} missing. Put them back, then save "
            "everything in one file: onnx.save(onnx.load(path), new_path)."
        )
    raise ModelError(
        f"model {path} keeps weights in {', '.join(map(repr, sorted(places)))} beside it; edgebench sends "
        "a board one file. Save everything in one file: onnx.save(onnx.load(path), new_path)."
    )


def _waveform_input(path: Path, model: onnx.ModelProto) -> tuple[str, Shape]:
    import onnx  # noqa: PLC0415

    initializers = {tensor.name for tensor in model.graph.initializer}  # IR < 4 lists them as inputs too
    inputs = [value for value in model.graph.input if value.name not in initializers]
    wanted = "edgebench measures models with exactly one input, a float32 waveform (batch, samples)"
    if len(inputs) != 1:
        names = ", ".join(repr(value.name) for value in inputs) or "none"
        raise ModelError(
            f"model {path} has {len(inputs)} inputs ({names}); {wanted}. Export it with its front end "
            "inside, and with masks and lengths as constants."
        )
    tensor, name = inputs[0].type.tensor_type, inputs[0].name
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise ModelError(
            f"model {path}: input {name!r} is of type {kind}; {wanted}. Export it so that it takes one."
        )
    shape = _shape(inputs[0])
    ones = shape[:-1]  # batch, and for rank 3 one channel
    if len(shape) not in (1, 2, 3) or any(axis not in (None, 1) for axis in ones):
        told = ", ".join("any" if axis is None else str(axis) for axis in shape)
        raise ModelError(
            f"model {path}: input {name!r} has the shape ({told}), which is no single waveform; {wanted}. "
            "Export it with its front end inside and with a batch of 1 or any."
        )
    return name, shape


def _shape(value: onnx.ValueInfoProto) -> Shape:
    return tuple(
        int(dimension.dim_value) if dimension.HasField("dim_value") else None
        for dimension in value.type.tensor_type.shape.dim
    )


def _embedded_manifest(path: Path, model: onnx.ModelProto) -> Manifest | None:
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            return parse_manifest(entry.value, source=f"inside {path}")
    return None


def _compare(path: Path, manifest: Manifest, *, sha256: str, outputs: list[str]) -> None:
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
