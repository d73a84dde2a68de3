"""One untrained net, exported once for all tests that need a real one; and small files that pass for nets."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from support.speech_models import small_model

from edgebench.files import sha256_of
from edgebench.models.making.untrained import WEIGHTS, UntrainedNet

SIZE_BYTES = 300_000


@functools.cache
def exported() -> Path:
    """A cache that holds ``wav2small`` of seed 1, made by the exporting process itself."""
    folder = Path(tempfile.mkdtemp(prefix="edgebench-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    UntrainedNet("wav2small", 1, SIZE_BYTES).make(folder)
    return folder


def pretend(name: str, cache: Path, *, opset: int = 17, **changes: Any) -> Path:
    """Put a small model where the file of net ``name`` (seed 1) would lie, so that nothing is exported."""
    path = UntrainedNet(name, 1, SIZE_BYTES).path(cache)
    path.parent.mkdir(parents=True)
    small_model(path, opset=opset)
    manifest = {
        "manifest_version": 1,
        "key": f"{name}.untrained",
        "sha256": sha256_of(path),
        "size_bytes": path.stat().st_size,
        "format": "onnx",
        "opset": opset,
        "ir_version": 8,
        "sample_rate_hz": 16000,
        "tasks": {},
        "preparation": [],
        "parameters": 3232,
        "macs": None,
        "scheme": {"name": "fp32", "weights": WEIGHTS, "seed": 1},
        "licence": "none",
        **changes,
    }
    path.with_suffix(".json").write_text(json.dumps(manifest))
    return path
