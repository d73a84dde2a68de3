"""Reading an ONNX file: its interface, its stored weights and what its graph costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import ModelError
from edgebench.models.formats.contents import Contents, Shape, Streaming, Tensor
from edgebench.models.formats.state import find_state
from edgebench.models.formats.waveform import LEAST_FRAME, LEAST_SAMPLES, check_waveform
from edgebench.models.graph.macs import macs_at
from edgebench.models.graph.tensors import count_parameters, external_places, nodes
from edgebench.models.manifest import METADATA_KEY

if TYPE_CHECKING:
    import onnx

FORMAT = "onnx"
STANDARD_DOMAINS = ("", "ai.onnx")
_LARGEST_BYTES = 2**31 - 1


def read(path: Path) -> Contents:
    """Read and check an ONNX file. Raises ModelError with what was found and what to do."""
    model = parse(path)
    _refuse_external_data(path, model)
    initializers = {tensor.name for tensor in model.graph.initializer}  # IR < 4 lists them as inputs too
    inputs = [_tensor(value) for value in model.graph.input if value.name not in initializers]
    outputs = {tensor.name: tensor.shape for tensor in map(_tensor, model.graph.output)}
    waveform, streaming = find_state(path, inputs, outputs)
    axis = check_waveform(path, waveform, least=LEAST_FRAME if streaming else LEAST_SAMPLES)
    samples = waveform.shape[axis]
    opsets = {entry.domain: int(entry.version) for entry in model.opset_import}
    operators = Counter(node.op_type for node in nodes(model))
    return Contents(
        format=FORMAT,
        input_name=waveform.name,
        input_shape=waveform.shape,
        lengths=() if samples is None or streaming else (samples,),
        outputs=outputs,
        parameters=count_parameters(model),
        operators=dict(sorted(operators.items())),
        macs=lambda length: _macs(path, length, streaming),
        manifest=next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None),
        streaming=streaming,
        opset=max((opsets.get(domain, 0) for domain in STANDARD_DOMAINS), default=0),
        ir_version=int(model.ir_version),
        domains=tuple(sorted({node.domain for node in nodes(model)} - set(STANDARD_DOMAINS))),
    )


def parse(path: Path) -> onnx.ModelProto:
    """The model without its external data; refuses what is not a whole ONNX model."""
    import onnx  # noqa: PLC0415

    _refuse_size(path)
    try:
        model = onnx.load_model(path, load_external_data=False)
    except Exception as error:
        # onnx reads files with protobuf, whose errors are classes of its own.
        if isinstance(error, OSError):
            raise ModelError(f"model {path} cannot be read: {error.strerror or error}.") from None
        raise ModelError(
            f"model {path} ({path.stat().st_size} bytes) cannot be read as ONNX: it is truncated, or it is "
            "another kind of file. Copy or export it again; edgebench takes .onnx and .tflite files."
        ) from None
    # An empty file, and some text files, decode as a message without fields.
    if not model.ir_version or not model.opset_import or not model.graph.node or not model.graph.output:
        raise ModelError(
            f"model {path} ({path.stat().st_size} bytes) is no ONNX model: it holds no graph. "
            "Copy or export it again; edgebench takes .onnx and .tflite files."
        )
    return model


def _refuse_size(path: Path, besides: Sequence[Path] = ()) -> None:
    """Protobuf, in which ONNX is written, holds at most 2 GiB."""
    try:
        size = sum(file.stat().st_size for file in (path, *besides))
    except OSError:
        return  # told where the file is read
    if size > _LARGEST_BYTES:
        weights = " with its weights" if besides else ""
        raise ModelError(
            f"model {path} takes {size / 1e9:.2f} GB{weights}, and an ONNX file holds at most "
            f"{_LARGEST_BYTES / 1e9:.2f} GB (protobuf's limit); edgebench sends a board one file, and "
            "schemes start from one. Take a smaller net, or export a part of it, such as the encoder."
        )


def _refuse_external_data(path: Path, model: onnx.ModelProto) -> None:
    """A board is sent one file, addressed by its hash; weights beside it would be neither sent nor hashed."""
    places = external_places(model)
    if not places:
        return
    missing = sorted(place for place in places if not (path.parent / place).is_file())
    _refuse_size(path, [path.parent / place for place in sorted(places) if place not in missing])
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


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    import onnx  # noqa: PLC0415

    tensor = value.type.tensor_type
    return Tensor(value.name, onnx.TensorProto.DataType.Name(tensor.elem_type).lower(), _shape(tensor))


def _shape(tensor: onnx.TypeProto.Tensor) -> Shape:
    """Sizes of the axes. A name, nothing, or a negative number (some exporters write -1) is any length."""
    return tuple(
        int(dimension.dim_value) if dimension.HasField("dim_value") and dimension.dim_value >= 0 else None
        for dimension in tensor.shape.dim
    )


def _macs(path: Path, samples: int, streaming: Streaming | None) -> int:
    model = parse(path)
    if streaming is None:
        return macs_at(model, samples=samples)
    shapes = {name: tuple(shape) for name, shape in streaming.shapes.items()}
    a_frame = macs_at(model, samples=streaming.context + streaming.frame, others=shapes)
    return math.ceil(samples / streaming.frame) * a_frame
