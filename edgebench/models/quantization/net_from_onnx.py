"""An exported fp32 file back into its torch module: weights by the names that the export gives them.

The export names nodes by module, folds batch norm into the convolution before it, and transposes the
weights of a linear layer that reads more than one vector. All three are undone here.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import ModelError, UsageError
from edgebench.models.artifact import load_artifact

if TYPE_CHECKING:
    import onnx
    from torch import Tensor, nn


def net_from_onnx(path: Path) -> nn.Module:
    """The net of an fp32 artifact in eval mode, answering what the file answers.

    Raises ModelError for a file without a manifest, of an architecture that is not known here, or without
    one of the net's weights under its name.
    """
    import onnx  # noqa: PLC0415

    from edgebench.models.architectures import build_architecture  # noqa: PLC0415

    artifact = load_artifact(path)
    if artifact.manifest is None or artifact.format != "onnx":
        raise ModelError(
            f"model {path} has no manifest that says its architecture, so its net cannot be built again. "
            "Give an fp32 .onnx file with its manifest, as `edgebench train` leaves them."
        )
    architecture = artifact.manifest.key.partition(".")[0]
    try:
        net = build_architecture(architecture)
    except UsageError as error:
        raise ModelError(f"model {path}: {error}") from None
    net.outputs = tuple(artifact.outputs)
    absent = _fill(net, onnx.load_model(path))
    if absent:
        raise ModelError(
            f"model {path}: the weights {', '.join(absent[:3])}{' and more' if len(absent) > 3 else ''} of a "
            f"{architecture} are not in the file under these names, so its net cannot be built again. Give "
            "an fp32 file that `edgebench train` wrote."
        )
    return net.eval()


def _fill(net: nn.Module, model: onnx.ModelProto) -> list[str]:
    """Copy the file's weights into the net; the names of those that it does not hold."""
    import torch  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415

    stored: dict[str, Any] = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    products = {node.name: node.input[1] for node in model.graph.node if node.op_type == "MatMul"}
    found: dict[str, Tensor] = {name: torch.tensor(array) for name, array in stored.items()}
    for name, layer in net.named_modules():
        product = products.get(f"{name}/MatMul", "")
        if isinstance(layer, nn.Linear) and f"{name}.weight" not in found and product in stored:
            found[f"{name}.weight"] = torch.tensor(stored[product].T)
        if isinstance(layer, nn.Sequential):
            found |= _norms(name, layer, stored)
    absent = []
    with torch.no_grad():
        for name, tensor in {**dict(net.named_parameters()), **dict(net.named_buffers())}.items():
            if name in found and found[name].shape == tensor.shape:
                tensor.copy_(found[name])
            elif not name.endswith("num_batches_tracked"):
                absent.append(name)
    return absent


def _norms(name: str, layers: nn.Sequential, stored: dict[str, Any]) -> dict[str, Tensor]:
    """Batch norms whose scale is in the convolution before them already: what is left is to add the bias."""
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415

    found: dict[str, Tensor] = {}
    children = list(layers.named_children())
    for (before, _), (at, norm) in itertools.pairwise(children):
        bias = stored.get(f"{name}.{before}.weight_bias")
        if isinstance(norm, nn.BatchNorm2d) and bias is not None:
            ones = torch.ones(norm.num_features)
            found |= {
                f"{name}.{at}.weight": ones,
                f"{name}.{at}.bias": torch.tensor(bias),
                f"{name}.{at}.running_mean": 0 * ones,
                f"{name}.{at}.running_var": ones - norm.eps,
            }
    return found
