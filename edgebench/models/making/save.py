"""Writing an artifact of either format: the manifest inside the file, and beside it with hash and size."""

from __future__ import annotations

from pathlib import Path

from edgebench.files import replacing, sha256_of
from edgebench.models.artifact import Artifact, load_artifact
from edgebench.models.formats.table import SUFFIXES
from edgebench.models.making.export import save_artifact
from edgebench.models.manifest import METADATA_KEY, Manifest, manifest_path


def save_model(data: bytes, manifest: Manifest, folder: Path) -> Artifact:
    """Write ``<key>.onnx`` or ``<key>.tflite`` with its manifest; the same input gives the same bytes."""
    if manifest.format == "onnx":
        import onnx  # noqa: PLC0415

        return save_artifact(onnx.load_model_from_string(data), manifest, folder)
    from edgebench.models.quantization.litert_tidy import with_metadata  # noqa: PLC0415

    path = folder / f"{manifest.key}{SUFFIXES[manifest.format]}"
    with replacing(path) as part:
        part.write_bytes(with_metadata(data, {METADATA_KEY: manifest.embedded().encode()}))
    whole = manifest.model_copy(update={"sha256": sha256_of(path), "size_bytes": path.stat().st_size})
    with replacing(manifest_path(path)) as part:
        part.write_text(whole.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return load_artifact(path)
