"""What a quantization scheme is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]
Settings = Mapping[str, Any]

SILENCE = 1e-4  # of full scale, -80 dB: dither and digital silence lie below, speech far above


@dataclass(frozen=True)
class Scheme:
    """A name, what it does to an fp32 ONNX file, and the settings that it does it with.

    ``quantize(path of the fp32 file, calibration waveforms (samples,), settings)`` gives the bytes of the
    new file, which has the format ``format``. ``settings`` go into the manifest as they stand.
    ``calibrated`` says whether waveforms are needed, ``exact`` whether the new file must answer as its
    parent does. ``summary`` is one line for ``edgebench quantize --list``. ``needs`` names the modules
    beyond the base install, ``extra`` the extras of edgebench that bring them. ``of_own_nets`` says
    that the scheme chooses by the names of nets that edgebench trains, and fits no others.

    ``clips`` is how many calibration clips the scheme asks for; 0 where the usual number will do.
    ``judged`` says that ``quantize`` also takes ``validation=``, waveforms (samples,) of other speakers, by
    which it chooses among its own results.

    ``allowed`` says what a setting may be, where it is a word of few: for a setting of several values, what
    each may be. ``choices`` are the values that ``edgebench search`` may give to a setting, by its name.
    """

    name: str
    summary: str
    quantize: Callable[..., bytes]
    settings: Settings
    calibrated: bool
    format: str = "onnx"
    needs: tuple[str, ...] = ()
    choices: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    extra: str = ""
    exact: bool = False
    of_own_nets: bool = False
    clips: int = 0
    judged: bool = False
    allowed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """Name and settings as a manifest records them: plain JSON."""
        return {"name": self.name, **{key: _plain(value) for key, value in self.settings.items()}}


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def settings(**values: Any) -> Settings:
    """Settings that nobody can change."""
    return MappingProxyType(values)


def is_silent(waveform: Waveform) -> bool:
    """Whether no sample is beyond -80 dB of full scale: such a clip sets no range."""
    return float(np.abs(waveform).max(initial=0.0)) < SILENCE
