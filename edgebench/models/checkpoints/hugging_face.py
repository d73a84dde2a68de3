"""Checkpoints in the Hugging Face layout: ``config.json`` beside the tensors, in a folder or on the hub.

transformers' own loading fills what a checkpoint lacks with random numbers and drops what it does not
know. Here the files are read as they are; :mod:`speech_transformer` accounts for every tensor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from edgebench.errors import ModelError
from edgebench.models.checkpoints.weights import read_weights
from edgebench.text import read_json

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
TENSORS = ("model.safetensors", "pytorch_model.bin")  # in this order
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# Weight norm before and after torch made it a parametrization: the same two tensors.
_RENAMED = {
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by today's names, and the two files of settings, empty where a source has none."""

    source: str
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    preprocessor: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(source: str | Path) -> Checkpoint:
    """Read a folder, a file of tensors, or ``organisation/name`` from the hub (or its local cache).

    Half-precision tensors are widened to float32, which changes no number. Raises :class:`ModelError`
    for a source that is none of these, for a folder without configuration or tensors, for damaged files,
    and where the hub cannot be reached.
    """
    path = Path(source)
    if path.is_file():
        return Checkpoint(str(source), _today(read_weights(path)))
    if not path.exists():
        if not _HUB_ID.fullmatch(str(source)):
            raise ModelError(
                f"weights {source} do not exist. Give a folder with {CONFIG} and {TENSORS[0]}, a file of "
                "tensors, or the name of a model on the hub, organisation/name."
            )
        path = _download(str(source))
    config = _settings(path / CONFIG)
    if config is None:
        raise ModelError(
            f"weights {source}: the folder holds no {CONFIG}, so nobody can tell which architecture its "
            "tensors are of. Give a folder as save_pretrained() of transformers writes it, or the file of "
            "tensors itself."
        )
    tensors = next((path / name for name in TENSORS if (path / name).is_file()), None)
    if tensors is None:
        parts = sorted(part.name for part in path.glob("*.index.json"))
        raise ModelError(
            f"weights {source}: the folder holds neither {' nor '.join(TENSORS)}"
            + (f", but a checkpoint in several files ({parts[0]})" if parts else "")
            + ". Save the checkpoint again in one file (save_pretrained with max_shard_size='10GB')."
        )
    return Checkpoint(
        str(source), _today(read_weights(tensors)), config, _settings(path / PREPROCESSOR) or {}
    )


def save_folder(model: nn.Module, folder: Path, config: Mapping[str, Any]) -> None:
    """Write a net with its heads as a folder that :func:`read_checkpoint` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / TENSORS[0], metadata={"format": "pt"})


def _download(name: str) -> Path:
    """The folder of the cache that holds the model's files, fetched where they are not there yet."""
    from huggingface_hub import hf_hub_download  # noqa: PLC0415  (not needed for a folder)
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError  # noqa: PLC0415

    def fetched(file: str) -> Path | None:
        try:
            return Path(hf_hub_download(name, file))
        except LocalEntryNotFoundError:
            raise  # no network, which is not the same as no such file
        except EntryNotFoundError:
            return None

    try:
        config = fetched(CONFIG)
        fetched(PREPROCESSOR)
        found = any(fetched(file) is not None for file in TENSORS)
    except Exception as error:  # the hub's client raises its own classes, its transport's and OSError
        raise ModelError(
            f"weights {name!r}: there is no such folder here, and the hub's model of that name could not be "
            f"fetched ({type(error).__name__}). Check the name and the network (a gated model needs "
            f"HF_TOKEN), or download its {CONFIG} and {TENSORS[0]} elsewhere and give the folder's path."
        ) from None
    if config is None or not found:
        raise ModelError(
            f"weights {name!r}: the hub's model of that name lacks {CONFIG} or any of {', '.join(TENSORS)}. "
            "Give one that transformers can load."
        )
    return config.parent


def _settings(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        found = read_json(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ModelError(f"{path} cannot be read as a JSON object. Fetch the checkpoint again.")
    return found


def _today(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, tensor in tensors.items():
        old = next((suffix for suffix in _RENAMED if name.endswith(suffix)), None)
        today = name if old is None else name.removesuffix(old) + _RENAMED[old]
        half = tensor.is_floating_point() and tensor.element_size() < 4
        found[today] = tensor.float() if half else tensor
    return found
