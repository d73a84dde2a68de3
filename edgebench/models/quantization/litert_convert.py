"""From an fp32 file to a .tflite of the same net, by litert-torch; shared by the schemes for LiteRT.

LiteRT's converter knows no free time axis. Where the graph holds no length (``litert_length``) the file gets
one signature for all of them. Else it holds one signature an input length; they share their weights, and a
clip of another length is repeated up to the next one (the preparation step ``fit``).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.models.quantization.litert_kernels import for_xnnpack
from edgebench.models.quantization.litert_length import SIGNATURE, FixedLengthError, freed
from edgebench.models.quantization.litert_tidy import packed, unpacked
from edgebench.models.quantization.net_from_onnx import net_from_onnx

if TYPE_CHECKING:
    from torch import nn

# The lengths of the packaged suite, and what lies between them for clips of speech.
LENGTHS_S = (1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 12.0)
SAMPLE_RATE_HZ = 16_000
NEEDS = ("litert_torch", "ai_edge_litert", "ai_edge_quantizer")
_TWO_LENGTHS_S = (5.0, 1.0)  # the first is the one that calibration clips are fitted to


def signature_name(length_s: float) -> str:
    """The signature of an input length, such as ``samples_80000``."""
    return f"samples_{round(length_s * SAMPLE_RATE_HZ)}"


def signatures(model: bytes) -> dict[str, float | None]:
    """Signatures of a .tflite that :func:`convert` made, and the length of each in s; None: every length."""
    names = [entry.signatureKey.decode() for entry in unpacked(model).signatureDefs]
    return {
        name: None if name == SIGNATURE else int(name.rpartition("_")[2]) / SAMPLE_RATE_HZ for name in names
    }


def fitted(waveform: NDArray[np.float32], length_s: float) -> NDArray[np.float32]:
    """A clip (samples,) or (1, samples), repeated or cut to ``length_s``: as a signature takes it."""
    return np.resize(waveform.ravel(), round(length_s * SAMPLE_RATE_HZ))[np.newaxis].astype(np.float32)


def convert(parent: Path, lengths_s: Sequence[float], *, free_length: bool = True) -> bytes:
    """The float .tflite of an fp32 ONNX artifact.

    With ``free_length`` it has one signature that takes every length, where the net's graph holds no length;
    else one signature for each of ``lengths_s``.

    Raises ModelError where the net cannot be built from the file.
    """
    net = net_from_onnx(parent)
    if free_length:
        try:
            return packed(freed(for_xnnpack(_converted(net, _TWO_LENGTHS_S))))
        except FixedLengthError:
            pass  # such a net gets its signatures
    return packed(for_xnnpack(_converted(net, lengths_s)))


def _converted(net: nn.Module, lengths_s: Sequence[float]) -> Any:
    """The model, one signature a length, as objects of LiteRT's schema."""
    import torch  # noqa: PLC0415

    with quiet(), _reflection_by_slices():
        import litert_torch  # noqa: PLC0415

        converter = litert_torch
        for length_s in lengths_s:
            example = {"waveform": torch.zeros(1, round(length_s * SAMPLE_RATE_HZ))}
            converter = converter.signature(signature_name(length_s), net, sample_kwargs=example)
        return unpacked(_bytes(converter.convert()))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The converter and the quantizer print their steps, in Python and in C, and warn of their internals."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    kept = [os.dup(number) for number in (1, 2)]
    try:
        with Path(os.devnull).open("wb") as nowhere, warnings.catch_warnings():
            sys.stdout.flush()
            for number in (1, 2):
                os.dup2(nowhere.fileno(), number)
            warnings.simplefilter("ignore")
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                yield
    finally:
        for number, original in zip((1, 2), kept, strict=True):
            os.dup2(original, number)
            os.close(original)
        logging.disable(level)


@contextlib.contextmanager
def _reflection_by_slices() -> Iterator[None]:
    """Reflect edges by flipped slices: the converter makes a table of 320 KB of torch's own padding."""
    import torch  # noqa: PLC0415
    from torch.nn import functional  # noqa: PLC0415

    original = functional.pad

    def pad(tensor: Any, edges: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
        if mode != "reflect" or len(edges) != 2:
            return original(tensor, edges, mode, value)
        left, right = edges
        before = tensor[..., 1 : left + 1].flip(-1)
        after = tensor.flip(-1)[..., 1 : right + 1]  # from the end: no number depends on the length
        return torch.cat([before, tensor, after], dim=-1)

    functional.pad = pad  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.pad = original


def _bytes(model: Any) -> bytes:
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        model.export(str(path))
        return path.read_bytes()
