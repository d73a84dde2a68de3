"""Models that keep a state between calls: which input is the waveform, and what is fed back.

A state input is paired with the output of its name (``state`` and ``stateN``, ``h`` and ``hn``,
``conv_cache`` and ``conv_cache_out``), or as ``<stem>.streaming.json`` beside the file says::

    {"state": {"h0": "y2"}, "constants": {"sr": 16000}, "frame": 512, "context": 64}

Every entry may be left out. Such a file says what an interface cannot: how many samples a call takes
where the axis is free, and how many of the last frame's are given again before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgebench.errors import ModelError, explain
from edgebench.models.formats.contents import Shape, Streaming, Tensor
from edgebench.models.formats.waveform import LEAST_FRAME, only_input, samples_axis

# Where the file leaves its frame open: 32 ms at 16 kHz, what voice activity detectors take.
DEFAULT_FRAME = 512
SAMPLE_RATE_HZ = 16_000

_FLOATS = ("float", "float32")
_INTEGERS = ("int64", "int32")
_RATES = {"sr", "rate", "samplerate", "samplingrate", "fs"}
# Words that tell the old state from the new one, and nothing else.
_SIDES = {"in", "input", "out", "output", "n", "new", "next", "prev", "previous", "past", "present", "cur"}
_Count = Annotated[int, Field(ge=0)]


class _Sidecar(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    state: dict[str, str] = {}
    constants: dict[str, int] = {}
    frame: Annotated[int, Field(ge=1)] | None = None
    context: _Count = 0


def sidecar_path(model: Path) -> Path:
    """Where the pairs of a model file are said."""
    return model.with_suffix(".streaming.json")


def find_state(
    path: Path, inputs: Sequence[Tensor], outputs: Mapping[str, Shape]
) -> tuple[Tensor, Streaming | None]:
    """The waveform among a file's inputs, and how its state is fed back; None for a file without one.

    Raises ModelError where an input is neither the waveform, nor a state, nor the sample rate, and for a
    ``.streaming.json`` that names what the file does not have.
    """
    said = _read_sidecar(sidecar_path(path))
    if len(inputs) == 1 and said is None:
        return inputs[0], None
    said = said or _Sidecar()
    _check_names(path, said, inputs, outputs)
    pairs = {**_pairs(inputs, outputs), **said.state}
    constants = {**{tensor.name: SAMPLE_RATE_HZ for tensor in inputs if _is_rate(tensor)}, **said.constants}
    waveform = _waveform(inputs, taken={*pairs, *constants}, said={*said.state, *constants})
    if waveform is None:
        return only_input(path, inputs), None  # raises, naming them all
    pairs.pop(waveform.name, None)
    unknown = [t.name for t in inputs if t is not waveform and t.name not in {*pairs, *constants}]
    if unknown:
        raise ModelError(
            f"model {path} has {len(inputs)} inputs ({', '.join(repr(t.name) for t in inputs)}); "
            f"{', '.join(map(repr, unknown))} cannot be fed: edgebench feeds one float32 waveform, states "
            "that an output of the same name gives back, and the sample rate. Make the rest constants, or "
            f"say in {sidecar_path(path).name} which output feeds which input: "
            '{"state": {"INPUT": "OUTPUT"}}.'
        )
    if not pairs:
        return only_input(path, [waveform] if not constants else inputs), None
    fixed = _samples(waveform.shape)
    frame = said.frame or (DEFAULT_FRAME if fixed is None else fixed - said.context)
    if fixed is not None and frame + said.context != fixed:
        raise ModelError(
            f"model {path}: {sidecar_path(path).name} asks for {frame} + {said.context} samples a call, and "
            f"input {waveform.name!r} takes {fixed}. Make the two agree."
        )
    shapes = {t.name: tuple(1 if n is None else n for n in t.shape) for t in inputs if t.name in pairs}
    return waveform, Streaming(frame, pairs, shapes, constants, said.context)


def _waveform(inputs: Sequence[Tensor], *, taken: set[str], said: set[str]) -> Tensor | None:
    """The input that can be a waveform and is not ``taken``; of several the one of any length, or None.

    Where all are taken, the first that nobody ``said`` to be something else: a net that cleans speech may
    call its input and its output alike, as a state is called.
    """
    fit = [tensor for tensor in inputs if tensor.dtype in _FLOATS and _is_frame(tensor.shape)]
    free = [tensor for tensor in fit if tensor.name not in taken]
    if len(free) > 1:
        free = [tensor for tensor in free if _samples(tensor.shape) is None]
        return free[0] if len(free) == 1 else None
    if free:
        return free[0]
    return next((tensor for tensor in fit if tensor.name not in said), None)


def _is_frame(shape: Shape) -> bool:
    return samples_axis(shape) is not None and (_samples(shape) or LEAST_FRAME) >= LEAST_FRAME


def _samples(shape: Shape) -> int | None:
    axis = samples_axis(shape)
    return None if axis is None else shape[axis]


def _is_rate(tensor: Tensor) -> bool:
    name = re.sub("[^a-z]", "", tensor.name.lower())
    return tensor.dtype in _INTEGERS and name in _RATES and all(axis in (1, None) for axis in tensor.shape)


def _pairs(inputs: Sequence[Tensor], outputs: Mapping[str, Shape]) -> dict[str, str]:
    """Float input -> the one output of its name, where the two shapes can be the same."""
    stems: dict[str, list[str]] = {}
    for name in outputs:
        for stem in {_stem(name), name.lower().removesuffix("n")}:
            stems.setdefault(stem, []).append(name)
    pairs = {}
    for tensor in inputs:
        found = stems.get(_stem(tensor.name), []) if tensor.dtype in _FLOATS else []
        fit = [name for name in found if _may_be_equal(tensor.shape, outputs[name])]
        if len(fit) == 1:
            pairs[tensor.name] = fit[0]
    return pairs


def _stem(name: str) -> str:
    """A name without the words that tell old from new: ``conv_cache_out`` gives ``conv cache``."""
    words = re.findall("[a-z]+|[0-9]+", re.sub("([a-z])([A-Z])", r"\1 \2", name).lower())
    return " ".join(word for word in words if word not in _SIDES) or name


def _may_be_equal(one: Shape, other: Shape) -> bool:
    if not other:  # the file says nothing of this output
        return True
    return len(one) == len(other) and all(
        None in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True)
    )


def _read_sidecar(path: Path) -> _Sidecar | None:
    if not path.is_file():
        return None
    try:
        return _Sidecar.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise ModelError(f"{path}: {explain(error, _Sidecar)}.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}.") from None


def _check_names(path: Path, said: _Sidecar, inputs: Sequence[Tensor], outputs: Mapping[str, Shape]) -> None:
    names = {tensor.name for tensor in inputs}
    strange = [name for name in [*said.state, *said.constants] if name not in names]
    strange += [name for name in said.state.values() if name not in outputs]
    if strange:
        raise ModelError(
            f"{sidecar_path(path)} names {', '.join(map(repr, strange))}, which {path.name} does not have: "
            f"its inputs are {', '.join(map(repr, sorted(names)))}, its outputs "
            f"{', '.join(map(repr, outputs))}."
        )
