"""From a torch module to an ONNX file that the oldest runtime we deploy to can load.

onnxruntime 1.19.2, the last for Python 3.8, loads opset 21 and IR 10 at most; the figures pinned here
are older still, because nothing in these nets needs newer ones. Today's ``onnx`` writes 28 and 14.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import ModelError
from edgebench.files import replacing, write_bytes
from edgebench.models.artifact import Artifact, load_artifact
from edgebench.models.graph.shapes import outline
from edgebench.models.manifest import METADATA_KEY, Manifest, manifest_path

if TYPE_CHECKING:
    import onnx
    from torch import nn

OPSET = 17
IR_VERSION = 8  # what onnx 1.12, the first with opset 17, wrote
_TRACED_OPSET = 18  # the lowest that torch's exporter speaks; one step down is done here

INPUT_NAME = "waveform"
_SCOPES = "pkg.torch.onnx.name_scopes"
_NO_SCOPE = "_empty_nn_module_stack_from_metadata_hook"  # the tracer's word for the whole net
_LARGEST_BYTES = 2**31 - 2**23  # of weights: protobuf's two GiB, less eight MiB for the graph


def export_onnx(
    model: nn.Module,
    *,
    example_s: float = 5.0,
    sample_rate_hz: int = 16_000,
    outputs: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Trace a net in eval mode; both axes of ``waveform (batch, samples)`` stay free.

    The file's outputs are the answers in ``outputs``, in that order, by their names; without it those of
    ``model.outputs``. What is not asked for is not computed, and its weights are not in the file.

    Batch norm is folded into the convolutions and weight norm into the weights, and no trace, path or
    docstring stays in the file. Nodes are named by their module (``vgg7.4.0/Conv``), which is what
    schemes choose by. Raises :class:`ModelError` for a net whose weights do not fit one file.
    """
    import onnx  # noqa: PLC0415
    import torch  # noqa: PLC0415

    _refuse_what_does_not_fit(model)
    # subtle: a batch of two, since an axis of length one is traced as the constant one.
    example = torch.randn(2, round(example_s * sample_rate_hz), generator=torch.Generator().manual_seed(0))
    # By name alone, the bounds of each axis are found by the trace. A torch.export.Dim claims that any length
    # fits; a net that needs some samples is then traced twice.
    axes = ({0: "batch", 1: "samples"},)
    with _silence(), _weight_norm_folded(model), _answering(model, outputs) as names:
        program = torch.onnx.export(
            model.eval(),
            (example,),
            dynamo=True,
            opset_version=_TRACED_OPSET,
            dynamic_shapes=axes,
            input_names=[INPUT_NAME],
            output_names=list(names),
        )
    assert program is not None
    exported = program.model_proto
    _name_nodes(exported)
    _step_down(exported)
    _strip(exported)
    exported.ir_version = IR_VERSION
    onnx.checker.check_model(outline(exported), full_check=True)
    return exported


def embed_manifest(model: onnx.ModelProto, manifest: Manifest) -> None:
    """Write the manifest (without hash and size) into the file's metadata, replacing an earlier one."""
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    for key, value in [*kept, (METADATA_KEY, manifest.embedded())]:
        model.metadata_props.add(key=key, value=value)


def save_onnx(model: onnx.ModelProto, path: Path) -> None:
    """Write the file deterministically: the same graph gives the same bytes, and so the same hash."""
    write_bytes(path, model.SerializeToString(deterministic=True))


def save_artifact(graph: onnx.ModelProto, manifest: Manifest, folder: Path) -> Artifact:
    """Write ``<key>.onnx`` with the manifest inside, and the manifest with hash and size beside it."""
    embed_manifest(graph, manifest)
    return write_pair(folder / f"{manifest.key}.onnx", graph.SerializeToString(deterministic=True), manifest)


def write_pair(path: Path, data: bytes, manifest: Manifest) -> Artifact:
    """Write a model file and the manifest beside it, with hash and size: both, or neither."""
    sha256 = hashlib.sha256(data).hexdigest()
    whole = manifest.model_copy(update={"sha256": sha256, "size_bytes": len(data)})
    with replacing(path) as model, replacing(manifest_path(path)) as beside:
        model.write_bytes(data)
        beside.write_text(whole.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return load_artifact(path)


@contextlib.contextmanager
def _silence() -> Any:
    """The exporter prints ticks on stdout, which belongs to ``--json``, and warns of its own internals."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _refuse_what_does_not_fit(model: nn.Module) -> None:
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    if size > _LARGEST_BYTES:
        raise ModelError(
            f"this net's weights take {size / 1e9:.2f} GB, and an ONNX file holds at most "
            f"{_LARGEST_BYTES / 1e9:.2f} GB of them (protobuf's limit). Export its parts, or a smaller net."
        )


@contextlib.contextmanager
def _answering(model: nn.Module, outputs: Sequence[str] | None) -> Iterator[tuple[str, ...]]:
    """Make ``outputs`` what the net answers by default: the tracer calls it with a waveform and no more."""
    before: tuple[str, ...] = model.outputs  # type: ignore[assignment]
    names = before if outputs is None else tuple(outputs)
    model.outputs = names  # type: ignore[assignment]
    try:
        yield names
    finally:
        model.outputs = before  # type: ignore[assignment]


@contextlib.contextmanager
def _weight_norm_folded(model: nn.Module) -> Iterator[None]:
    """Replace weight-normed layers by plain ones: the exporter would leave the norm in the graph."""
    from torch.nn.utils import parametrize  # noqa: PLC0415

    folded = []
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if parametrize.is_parametrized(child, "weight"):
                setattr(parent, name, _plain_layer(child))
                folded.append((parent, name, child))
    try:
        yield
    finally:
        for parent, name, child in folded:
            setattr(parent, name, child)


def _plain_layer(normed: nn.Module) -> nn.Module:
    """The layer as it would be without its parametrizations: its own class, one weight, all else shared.

    subtle: torch's own removal changes the class, which a copy of the layer would share.
    """
    import torch  # noqa: PLC0415

    cls: type[nn.Module] = type(normed).__bases__[0]
    plain = cls.__new__(cls)
    plain.__dict__.update(normed.__dict__)
    plain._modules = {name: part for name, part in normed._modules.items() if name != "parametrizations"}
    weight = torch.nn.Parameter(normed.weight.detach())  # type: ignore[operator]
    plain._parameters = {**normed._parameters, "weight": weight}
    return plain


def _name_nodes(model: onnx.ModelProto) -> None:
    """Name each node ``module/Operator`` after the module it was traced in, numbered where that repeats."""
    count: dict[str, int] = {}
    for node in model.graph.node:
        scopes = next((ast.literal_eval(p.value) for p in node.metadata_props if p.key == _SCOPES), [""])
        module = next((scope for scope in reversed(scopes[:-1]) if scope and scope != _NO_SCOPE), "")
        name = f"{module}/{node.op_type}" if module else node.op_type
        count[name] = count.get(name, 0) + 1
        node.name = name if count[name] == 1 else f"{name}_{count[name]}"


def _step_down(model: onnx.ModelProto) -> None:
    """Opset 18 to 17 for what changed between them and occurs here.

    ReduceMean took its axes as an attribute, Split no number of outputs; Pad gained an optional input.
    onnx's own version converter has no step down for Pad.
    """
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    changed = {
        "ReduceMean",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceL1",
        "ReduceL2",
        "ReduceSumSquare",
    }
    for node in model.graph.node:
        if node.op_type in changed and len(node.input) > 1:
            axes = numpy_helper.to_array(constants[node.input[1]]).tolist()
            del node.input[1:]
            _drop_attribute(node, "noop_with_empty_axes")
            node.attribute.append(onnx.helper.make_attribute("axes", axes))
        elif node.op_type == "Split":
            _drop_attribute(node, "num_outputs")
        elif node.op_type == "Pad" and len(node.input) > 3:
            raise NotImplementedError("Pad with axes has no equal in opset 17")
    for entry in model.opset_import:
        if entry.domain == "":
            entry.version = OPSET
    used = {name for node in model.graph.node for name in node.input}
    kept_tensors = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept_tensors)


def _drop_attribute(node: onnx.NodeProto, name: str) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def _strip(model: onnx.ModelProto) -> None:
    """Remove what no runtime reads: traces (with paths of this machine), docstrings, shapes, functions."""
    model.doc_string = ""
    model.graph.doc_string = ""
    model.graph.name = "edgebench"
    model.producer_name, model.producer_version = "edgebench", ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    del model.functions[:]
    domains = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        value.doc_string = ""
        del value.metadata_props[:]
