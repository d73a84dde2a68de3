"""The parent's graph as the schemes take it, the inputs that it is fed, and the new graph made whole."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.agent.runtimes.base import shape_of
from edgebench.errors import EdgebenchError, ModelError
from edgebench.models.graph.tensors import constants
from edgebench.models.quantization.scheme import Waveform

if TYPE_CHECKING:
    import onnx

CONTRIB = "com.microsoft"  # onnxruntime's own operators, in every build of it
_ADDED_NAME = "unnamed_"
_LEAST_OPSET = 13  # the first in which a DequantizeLinear has one scale a channel
_OPSET = 17


def source_model(
    parent: Path, *, change: Callable[[onnx.ModelProto], onnx.ModelProto] = lambda model: model
) -> onnx.ModelProto:
    """The parent's graph with its weights as initializers and a name of its own for every node.

    A graph of an opset without scales by channel is brought up to opset 17; ``change`` may rewrite it then.
    Raises ModelError where it cannot be brought up, and what ``change`` raises.
    """
    import onnx  # noqa: PLC0415

    model = onnx.load_model(parent)
    if _standard_opset(model) < _LEAST_OPSET:
        with third_party(f"model {parent}: bringing its opset {_standard_opset(model)} up to {_OPSET}"):
            model = onnx.version_converter.convert_version(model, _OPSET)
    _constants_to_initializers(model)
    model = change(model)
    seen: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{_ADDED_NAME}{number}"
        seen.add(node.name)
    return model


def inputs_of(model: onnx.ModelProto, waveform: Waveform) -> dict[str, NDArray[np.float32]]:
    """What a session of ``model`` is fed for a waveform (samples,), in the shape that its input has."""
    stored = {tensor.name for tensor in model.graph.initializer}
    given = next(value for value in model.graph.input if value.name not in stored)
    axes = given.type.tensor_type.shape.dim
    shape = [int(axis.dim_value) if axis.dim_value > 0 else None for axis in axes]
    return {given.name: waveform.reshape(shape_of(waveform, shape))}


def spread(waveforms: Sequence[Waveform], most: int) -> list[Waveform]:
    """Up to ``most`` clips from all over their order, which goes by corpus and emotion."""
    step = max(1, -(-len(waveforms) // most))
    return list(waveforms[::step])


def finished(
    made: onnx.ModelProto,
    source: onnx.ModelProto,
    *,
    domains: Collection[str] = (),
    newer_opset: bool = False,
) -> bytes:
    """The bytes of a new graph: opset and IR of its source, nothing that a quantizer noted for itself.

    With ``newer_opset`` it keeps the opset that a quantizer had to bring it up to. Operators of ``domains``
    may stand in it besides those of the source. Raises ModelError for others and for a graph that onnx finds
    broken.
    """
    import onnx  # noqa: PLC0415

    versions = {entry.domain: int(entry.version) for entry in made.opset_import}
    kept = {entry.domain: int(entry.version) for entry in source.opset_import}  # may be the same graph
    known = {"", *kept}
    if newer_opset and "" in versions:
        kept[""] = max(kept.get("", 0), versions[""])
    added = {node.domain for node in made.graph.node} - known
    foreign = sorted(added - set(domains))
    if foreign:
        raise ModelError(
            f"quantizing left operators of {', '.join(foreign)}, which other runtimes do not have."
        )
    kept |= {domain: versions.get(domain, 1) for domain in sorted(added)}
    del made.opset_import[:]
    made.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in kept.items())
    made.ir_version = source.ir_version
    made.producer_name, made.producer_version = source.producer_name, ""
    del made.metadata_props[:]
    del made.graph.value_info[:]
    for node in made.graph.node:
        if node.name.startswith(_ADDED_NAME):
            node.name = ""
    onnx.checker.check_model(made, full_check=True)
    data: bytes = made.SerializeToString(deterministic=True)
    return data


@contextlib.contextmanager
def third_party(doing: str) -> Iterator[None]:
    """Raise what a quantizer of others raises as a ModelError that says what was being done.

    What it prints and logs is not shown: advice for users of its own command line, and stdout is ours.
    """
    level = logging.root.manager.disable
    handlers = list(logging.root.handlers)
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except EdgebenchError:
        raise
    except Exception as error:  # a quantizer raises whatever comes
        said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ModelError(f"{doing} fails: {type(error).__name__}: {said}.") from error
    finally:
        logging.root.handlers[:] = handlers  # a module of onnxruntime sets one up when it is imported
        logging.disable(level)


def _standard_opset(model: onnx.ModelProto) -> int:
    return max(
        (int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0
    )


def _constants_to_initializers(model: onnx.ModelProto) -> None:
    """Quantizers look for weights among the initializers; some exporters keep them as Constant nodes."""
    found = constants(model)
    kept = [node for node in model.graph.node if not (node.op_type == "Constant" and node.output[0] in found)]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    for name, tensor in found.items():
        model.graph.initializer.add().CopyFrom(tensor)
        model.graph.initializer[-1].name = name


def arrays_of(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Initializers by name."""
    import onnx  # noqa: PLC0415

    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
