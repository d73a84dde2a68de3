"""Which input of a file is the waveform, and whether it is one."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.errors import ModelError
from edgebench.models.formats.contents import Shape, Tensor

# A shorter fixed input is a frame of features or an embedding: 80 bands, 512 or 1024 numbers.
LEAST_SAMPLES = 1600
# The frames of models with a state are shorter: 10 ms at 16 kHz.
LEAST_FRAME = 160

_TAKEN = (
    "edgebench measures models with exactly one input, a float32 waveform: (samples,), (batch, samples), "
    "(batch, 1, samples) or (batch, samples, 1)"
)
_FRONT_END = "Export it with its front end inside and with a batch of 1 or any"
_FLOATS = ("float", "float32")


def told(shape: Shape) -> str:
    """A shape in words: ``(any, 80)``."""
    return "(" + ", ".join("any" if axis is None else str(axis) for axis in shape) + ")"


def samples_axis(shape: Shape) -> int | None:
    """The axis of a shape that holds the samples, or None where it is no shape of one waveform.

    With three axes one of the last two must be fixed to 1, the channel: two free axes after the batch
    are as likely frames of features.
    """
    if len(shape) not in (1, 2, 3) or (len(shape) > 1 and shape[0] not in (None, 1)):
        return None
    if len(shape) < 3:
        return len(shape) - 1
    middle, last = shape[1:]
    if middle == 1:
        return 2
    return 1 if last == 1 else None


def only_input(path: object, inputs: Sequence[Tensor]) -> Tensor:
    """The input of a file that has one. Raises ModelError naming all of them otherwise."""
    if len(inputs) == 1:
        return inputs[0]
    names = ", ".join(repr(tensor.name) for tensor in inputs) or "none"
    raise ModelError(
        f"model {path} has {len(inputs)} inputs ({names}); {_TAKEN}. Export it with its front end inside, "
        "and with masks and lengths as constants."
    )


def check_waveform(path: object, tensor: Tensor, *, least: int = LEAST_SAMPLES) -> int:
    """The samples axis of an input that is one float32 waveform.

    Raises ModelError for another type or shape, and for a fixed length below ``least`` samples.
    """
    if tensor.dtype not in _FLOATS:
        raise ModelError(
            f"model {path}: input {tensor.name!r} is of type {tensor.dtype}; {_TAKEN}. Export it so that it "
            "takes one, with quantization inside the graph."
        )
    axis = samples_axis(tensor.shape)
    if axis is None:
        features = len(tensor.shape) == 3 and tensor.shape[0] in (None, 1)
        raise ModelError(
            f"model {path}: input {tensor.name!r} has the shape {told(tensor.shape)}, which is no single "
            f"waveform{' but looks like frames of features' if features else ''}; {_TAKEN}. {_FRONT_END}"
            f"{', and a channel axis fixed to 1' if features else ''}."
        )
    samples = tensor.shape[axis]
    if samples is not None and samples < least:
        raise ModelError(
            f"model {path}: input {tensor.name!r} has the shape {told(tensor.shape)}: {samples} samples are "
            f"{samples / 16_000:.3g} s at 16 kHz, too short for a waveform (at least {least} samples) and "
            f"more likely features or an embedding; {_TAKEN}. {_FRONT_END}."
        )
    return axis
