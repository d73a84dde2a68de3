"""The manifest: what an artifact is, what made it, and what may be said of it.

It stands as ``<stem>.json`` beside the model file and, without hash and size, under the metadata key
``edgebench`` inside it. Reading one costs neither torch nor onnx.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from edgebench.errors import ModelError, explain
from edgebench.text import read_json

# 1  November 2026: the first.
MANIFEST_VERSION = 1
METADATA_KEY = "edgebench"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Task(_Part):
    """What an output means: its kind, and the labels of its columns in order."""

    kind: Literal["dimensional", "categorical"]
    labels: list[str]


class Macs(_Part):
    """Multiply-accumulates of one input of ``input_s`` seconds, by the named counting rule."""

    value: Annotated[int, Field(ge=0)]
    input_s: Annotated[float, Field(gt=0.0)]
    rule: str


class Calibration(_Part):
    """The clips that set the ranges of a quantized file: how many, and the hash of their ids in order."""

    sha256: Sha256
    clips: Annotated[int, Field(ge=1)]


class CorpusSpeakers(_Part):
    """Speakers by part. ``train`` and ``validation`` have been seen; only ``test`` speakers are new."""

    train: list[str]
    validation: list[str]
    test: list[str]
    licence: str


class Training(_Part):
    """What the weights were learnt from."""

    corpora: dict[str, CorpusSpeakers]
    split_sha256: Sha256
    seed: int
    recipe: str
    label_source: str


class Parity(_Part):
    """Largest absolute difference to the fp32 ``reference`` that any output may show on any device."""

    reference: Sha256
    max_abs: Annotated[float, Field(gt=0.0)]


class Manifest(_Part):
    """One artifact. ``sha256`` and ``size_bytes`` are null in the copy inside the file itself.

    ``opset`` and ``ir_version`` are ONNX's, null for other formats.
    """

    manifest_version: Literal[1] = 1
    key: Annotated[str, Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+$")]
    sha256: Sha256 | None
    size_bytes: Annotated[int, Field(ge=1)] | None
    format: Literal["onnx", "tflite"]
    opset: Annotated[int, Field(ge=1)] | None
    ir_version: Annotated[int, Field(ge=1)] | None
    sample_rate_hz: Annotated[int, Field(ge=1)]
    tasks: dict[str, Task]
    preparation: list[dict[str, JsonValue]]
    parameters: Annotated[int, Field(ge=0)]
    macs: Macs | None
    scheme: dict[str, JsonValue]
    calibration: Calibration | None = None
    parent: Sha256 | None = None
    training: Training | None = None
    parity: Parity | None = None
    licence: str
    card: str | None = None

    def embedded(self) -> str:
        """The copy that goes inside the file: compact JSON without the file's own hash and size."""
        bare = self.model_copy(update={"sha256": None, "size_bytes": None})
        return json.dumps(bare.model_dump(mode="json"), separators=(",", ":"), sort_keys=True)

    def seen_speakers(self, corpus: str) -> frozenset[str]:
        """Speakers of a corpus that the weights, or the choice of weights, have seen."""
        known = self.training.corpora.get(corpus) if self.training else None
        return frozenset([*known.train, *known.validation]) if known else frozenset()


def parse_manifest(text: str, *, source: str) -> Manifest:
    """Parse strictly. Raises :class:`ModelError` naming the key, the allowed ones, and ``source``."""
    try:
        values: Any = read_json(text)
    except ValueError as error:
        raise ModelError(
            f"manifest {source} is not JSON: {error}. Restore it from where the model came."
        ) from None
    if not isinstance(values, dict):
        raise ModelError(f"manifest {source} holds a {type(values).__name__}, not an object of fields.")
    version = values.get("manifest_version")
    if version != MANIFEST_VERSION:
        raise ModelError(
            f"manifest {source} is of version {version!r}; this edgebench reads {MANIFEST_VERSION}. "
            "Update edgebench, or export the model again with this one."
        )
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ModelError(f"manifest {source}: {explain(error, Manifest)}.") from None


def manifest_path(model: Path) -> Path:
    """Where the manifest of a model file stands: ``a.fp32.onnx`` has ``a.fp32.json``."""
    return model.with_suffix(".json")


def read_manifest(model: Path) -> Manifest | None:
    """The manifest beside a model file, or None where there is none."""
    path = manifest_path(model)
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"manifest {path} cannot be read: {error}.") from None
    return parse_manifest(text, source=str(path))
