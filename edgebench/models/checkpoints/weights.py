"""Weights from a file on disk: read without running code from it, loaded whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from edgebench.errors import ModelError

_NAMED = 4  # of a list of tensors: enough to recognise an architecture by


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name: ``.safetensors``, or a state dictionary saved by torch.

    Raises :class:`ModelError` for a missing file, for one that is not a checkpoint of plain tensors
    (nothing else is unpickled), and for one that holds more than tensors by name.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"weights {path} do not exist. Give the path of a checkpoint file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises several classes of its own, by the kind of damage
        raise ModelError(
            f"weights {path} cannot be read as a checkpoint of tensors ({type(error).__name__}). The file is "
            "damaged, or it holds objects, which are never loaded. Give a state dictionary saved by torch."
        ) from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ModelError(
            f"weights {path} are not a state dictionary: tensors by name were expected, and "
            f"{type(found).__name__} with other content was found. Give the state dictionary alone."
        )
    return found


def load_exactly(model: nn.Module, weights: Mapping[str, Tensor], *, source: str | Path) -> None:
    """Fill every tensor of ``model`` from ``weights`` of the same names, shapes and kinds.

    Raises :class:`ModelError` with what is missing, unexpected or of another shape or type; the model is
    then as it was, for a net of which some layers are random still answers, and answers nonsense.
    """
    expected = model.state_dict()
    missing = [name for name in expected if name not in weights]
    unexpected = [name for name in weights if name not in expected]
    misshapen = [
        f"{name} {_kind(weights[name])} instead of {_kind(tensor)}"
        for name, tensor in expected.items()
        if name in weights and _kind(weights[name]) != _kind(tensor)
    ]
    found = {"missing": missing, "unexpected": unexpected, "of another shape or type": misshapen}
    faults = [f"{len(names)} {what} ({_some(names)})" for what, names in found.items() if names]
    if faults:
        raise ModelError(
            f"weights {source} are of another architecture: of {len(expected)} tensors expected, "
            f"{'; '.join(faults)}. Nothing was loaded. Give a checkpoint of this architecture and width."
        )
    model.load_state_dict(dict(weights), strict=True)


def _kind(tensor: Tensor) -> str:
    return f"{'x'.join(str(size) for size in tensor.shape) or 'scalar'} {str(tensor.dtype).split('.')[-1]}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
