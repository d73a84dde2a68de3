"""One untrained net, exported once for all tests that need a real one; and small files that pass for nets."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

from support.speech_models import small_model

from edgebench.files import sha256_of
from edgebench.models.making.untrained import WEIGHTS, UntrainedNet

SIZE_BYTES = 300_000


def exported(folder: Path) -> Path:
    """``folder``, with ``wav2small`` of seed 1 in it, made by the exporting process itself.

    Of several processes that ask at a time one makes it, and the others wait.
    """
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
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
