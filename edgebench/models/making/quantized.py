"""From an fp32 artifact to a quantized one: the scheme, its tolerance, and the manifest.

A file is run on this host before anything is said of it. The largest difference to its parent that was
found sets the difference that a board may show; a float file that differs at all was converted wrongly.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

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
from edgebench.models.quantization import quantize, scheme_named

MACS_INPUT_S = 5.0
# Other processors round the 8-bit products otherwise; a file that is wrong is wrong by far more.
PARITY_MARGIN = 2.0
LEAST_TOLERANCE = 1e-3  # float kernels of two processors add in another order
NOISE_LENGTHS_S = (1.0, 2.0, 5.0, 10.0)  # the suite's generated inputs are noise: a tolerance covers them

Waveform = NDArray[np.float32]


def quantize_artifact(
    parent: Artifact,
    scheme_name: str,
    *,
    clips: Sequence[Waveform],
    calibration: Calibration | None,
    validation: Sequence[Waveform],
    folder: Path,
) -> Artifact:
    """Write ``<architecture>.<scheme>`` into ``folder``.

    ``clips`` (samples,) set the ranges of a calibrated scheme, and ``calibration`` says which they are;
    ``validation`` clips, which set nothing, and noise give the tolerance. All come unprepared.

    Raises ModelError for a parent without a manifest, where the scheme does not fit it, and where a float
    file answers differently; UsageError for an unknown scheme or a missing package.
    """
    scheme = scheme_named(scheme_name)
    before = parent.manifest
    if before is None:
        raise ModelError(
            f"model {parent.path} has no manifest, so nothing says how its clips are prepared and what its "
            "outputs mean. Put its manifest (.json) beside it, as `edgebench train` leaves one."
        )
    steps = [*before.preparation, *(dict(step) for step in scheme.preparation)]
    ready = [prepare(clip, list(before.preparation), before.sample_rate_hz) for clip in clips]
    data = quantize(parent.path, scheme=scheme.name, waveforms=ready)
    contents, macs = _read(data, scheme.format, before.sample_rate_hz)
    inputs = [prepare(clip, steps, before.sample_rate_hz) for clip in validation]
    difference = largest_difference(parent.path, data, [*inputs, *_noise(before.sample_rate_hz)])
    if not scheme.calibrated and difference > LEAST_TOLERANCE:
        raise ModelError(
            f"scheme {scheme.name!r} changes no number, and its file of {parent.key} answers up to "
            f"{difference:.3g} away from it: the conversion is wrong. Nothing was written."
        )
    manifest = Manifest(
        key=f"{before.key.partition('.')[0]}.{scheme.name}",
        sha256=None,
        size_bytes=None,
        format="tflite" if scheme.format == "tflite" else "onnx",
        opset=contents.opset,
        ir_version=contents.ir_version,
        sample_rate_hz=before.sample_rate_hz,
        tasks=before.tasks,
        preparation=steps,
        parameters=before.parameters,
        macs=macs,
        scheme=scheme.described(),
        calibration=calibration if scheme.calibrated else None,
        parent=parent.sha256,
        training=before.training,
        parity=Parity(
            reference=parent.sha256,
            max_abs=max(LEAST_TOLERANCE, float(f"{PARITY_MARGIN * difference:.1e}")),
        ),
        licence=before.licence,
        card=before.card,
    )
    return save_model(data, manifest, folder)


def _read(data: bytes, model_format: str, rate_hz: int) -> tuple[Contents, Macs | None]:
    """What the new file holds, and what it costs where that can be counted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        path.write_bytes(data)
        contents = READERS[model_format](path)
        try:
            value = contents.macs(round(MACS_INPUT_S * rate_hz))
        except ModelError:
            return contents, None
    return contents, Macs(value=value, input_s=MACS_INPUT_S, rule=RULE)


def _noise(rate_hz: int) -> list[Waveform]:
    rng = np.random.default_rng(0)
    return [
        rng.uniform(-1.0, 1.0, round(length_s * rate_hz)).astype(np.float32) for length_s in NOISE_LENGTHS_S
    ]
