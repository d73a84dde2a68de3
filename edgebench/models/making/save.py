"""Writing an artifact of either format: the manifest inside the file, and beside it with hash and size."""

from __future__ import annotations

from pathlib import Path

from edgebench.models.artifact import Artifact
from edgebench.models.formats.table import SUFFIXES
from edgebench.models.making.export import save_artifact, write_pair
from edgebench.models.manifest import METADATA_KEY, Manifest


def save_model(data: bytes, manifest: Manifest, folder: Path) -> Artifact:
    """Write ``<key>.onnx`` or ``<key>.tflite`` with its manifest; the same input gives the same bytes."""
    if manifest.format == "onnx":
        import onnx  # noqa: PLC0415

        return save_artifact(onnx.load_model_from_string(data), manifest, folder)
    from edgebench.models.quantization.litert_tidy import with_metadata  # noqa: PLC0415

    path = folder / f"{manifest.key}{SUFFIXES[manifest.format]}"
    return write_pair(path, with_metadata(data, {METADATA_KEY: manifest.embedded().encode()}), manifest)
