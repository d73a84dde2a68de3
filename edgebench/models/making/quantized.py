"""From an fp32 artifact to a quantized one: the scheme, its tolerance, and the manifest.

A file is run on this host before anything is said of it. The largest difference to its parent that was
found sets the difference that a board may show; a float file that differs at all was converted wrongly.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebench.agent.waveform import prepare
from edgebench.errors import ModelError
from edgebench.models.artifact import Artifact
from edgebench.models.formats.contents import Contents
from edgebench.models.formats.table import READERS
from edgebench.models.graph.macs import RULE
from edgebench.models.graph.parity import largest_difference
from edgebench.models.making.save import save_model
from edgebench.models.manifest import Calibration, Macs, Manifest, Parity
from edgebench.models.quantization import Scheme, overridden, quantize, require_packages, scheme_named
from edgebench.models.quantization.parents import refuse_chance, refuse_parent

MACS_INPUT_S = 5.0
# Other processors round the 8-bit products otherwise; a file that is wrong is wrong by far more.
PARITY_MARGIN = 2.0
LEAST_TOLERANCE = 1e-3  # float kernels of two processors add in another order
NOISE_LENGTHS_S = (1.0, 2.0, 5.0, 10.0)  # the suite's generated inputs are noise: a tolerance covers them
UNKNOWN_LICENCE = "unknown"

Waveform = NDArray[np.float32]


def quantize_artifact(
    parent: Artifact,
    scheme_name: str,
    *,
    clips: Sequence[Waveform],
    calibration: Calibration | None,
    validation: Sequence[Waveform],
    folder: Path,
    overrides: Mapping[str, Any] | None = None,
) -> Artifact:
    """Write ``<architecture>.<scheme>`` into ``folder``, which is made where it is missing.

    ``clips`` (samples,) set the ranges of a calibrated scheme, and ``calibration`` says which they are;
    ``validation`` clips, which set nothing, and noise give the tolerance. All come unprepared.
    ``overrides`` replace some of the scheme's settings. A parent without a manifest gives a file with one
    that claims no task: its cost and its distance to the parent can be measured, its accuracy not.

    Nothing is written unless all of it can be. Raises UsageError for an unknown scheme or setting and for a
    missing package, ModelError for a parent that no scheme can start from, where the scheme does not fit it,
    where a float file answers differently, and where the files cannot be written, CorpusError for clips that
    set no range.
    """
    scheme = overridden(scheme_named(scheme_name), overrides or {})
    require_packages(scheme)
    refuse_parent(parent)
    before = parent.manifest or manifest_without_claims(parent)
    rate_hz = before.sample_rate_hz
    fit = _fit(parent.lengths, rate_hz)
    before_steps = [*before.preparation, *fit]
    inputs = [prepare(clip, before_steps, rate_hz) for clip in validation]
    inputs += [prepare(clip, fit, rate_hz) for clip in _noise(rate_hz)]
    refuse_chance(parent.path, inputs)
    ready = [prepare(clip, before_steps, rate_hz) for clip in clips]
    judges = [prepare(clip, before_steps, rate_hz) for clip in validation] if scheme.judged else []
    data = quantize(parent.path, scheme=scheme, waveforms=ready, validation=judges)
    contents, macs = _read(data, scheme.format, rate_hz)
    after = [] if contents.lengths == parent.lengths else _fit(contents.lengths, rate_hz)
    difference = largest_difference(parent.path, data, [prepare(one, after, rate_hz) for one in inputs])
    if scheme.exact and difference > LEAST_TOLERANCE:
        raise ModelError(
            f"scheme {scheme.name!r} changes no number, and its file of {parent.key} answers up to "
            f"{difference:.3g} away from it: the conversion is wrong. Nothing was written."
        )
    manifest = _manifest(contents, scheme, before, parent.sha256, difference).model_copy(
        update={
            "calibration": calibration if scheme.calibrated else None,
            "macs": macs,
            "preparation": [*before.preparation, *after],
        }
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return save_model(data, manifest, folder)
    except OSError as error:
        raise ModelError(
            f"{folder}: {manifest.key} cannot be written there: {error.strerror or error}. Nothing of it was "
            "left. Give another folder with --output, or make room."
        ) from error


def _manifest(
    contents: Contents, scheme: Scheme, before: Manifest, parent: str, difference: float
) -> Manifest:
    """What is said of a new file: its parent's facts, its scheme, and how far a board may be away."""
    return Manifest(
        key=f"{before.key.partition('.')[0]}.{scheme.name}",
        sha256=None,
        size_bytes=None,
        format="tflite" if scheme.format == "tflite" else "onnx",
        opset=contents.opset,
        ir_version=contents.ir_version,
        sample_rate_hz=before.sample_rate_hz,
        tasks=before.tasks,
        preparation=[],
        parameters=before.parameters,
        macs=None,
        scheme=scheme.described(),
        parent=parent,
        training=before.training,
        parity=Parity(
            reference=parent, max_abs=max(LEAST_TOLERANCE, float(f"{PARITY_MARGIN * difference:.1e}"))
        ),
        licence=before.licence,
        card=before.card,
    )


def manifest_without_claims(artifact: Artifact) -> Manifest:
    """The manifest of somebody else's file: what the file itself shows, no task and no training.

    Its key is the file's name in lower case with what a key may not hold as ``_``, and ``fp32``.
    """
    stem = artifact.path.stem.lower().removesuffix(".fp32")
    name = re.sub("[^a-z0-9_]+", "_", stem).strip("_") or "model"
    return Manifest(
        key=f"{name}.fp32",
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        format="onnx",
        opset=artifact.opset,
        ir_version=artifact.ir_version,
        sample_rate_hz=artifact.sample_rate_hz,
        tasks={},
        preparation=[],
        parameters=artifact.parameters,
        macs=None,
        scheme={"name": "fp32"},
        licence=UNKNOWN_LICENCE,
    )


def _fit(lengths: Sequence[int], rate_hz: int) -> list[dict[str, Any]]:
    """The step that gives a clip a length (samples) that a file takes, where it does not take any."""
    if not lengths:
        return []
    return [{"step": "fit", "lengths_s": [length / rate_hz for length in lengths]}]


def _read(data: bytes, model_format: str, rate_hz: int) -> tuple[Contents, Macs | None]:
    """What the new file holds, and what it costs where that can be counted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        path.write_bytes(data)
        contents = READERS[model_format](path)
        samples = round(MACS_INPUT_S * rate_hz)
        if contents.lengths and samples not in contents.lengths:
            samples = contents.lengths[0]
        try:
            return contents, Macs(value=contents.macs(samples), input_s=samples / rate_hz, rule=RULE)
        except ModelError:
            return contents, None


def _noise(rate_hz: int) -> list[Waveform]:
    rng = np.random.default_rng(0)
    return [
        rng.uniform(-1.0, 1.0, round(length_s * rate_hz)).astype(np.float32) for length_s in NOISE_LENGTHS_S
    ]
