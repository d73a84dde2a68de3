"""The architectures: one family a file, and the one table that names them.

The table holds import paths rather than classes, so that reading it costs no torch; a builder is
resolved when somebody asks for it. To add an architecture, write its file and add a row here: the
tests walk this table.

Every architecture is a :class:`~edgebench.models.layers.speech_net.SpeechNet`: it maps
``waveform (batch, samples)`` at 16 kHz to a dictionary, with ``arousal_dominance_valence (batch, 3)`` and
``emotion_logits (batch, 4)`` unless something else is asked for.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from edgebench.errors import UsageError, nearest

if TYPE_CHECKING:
    from edgebench.models.layers.speech_net import SpeechNet

ARCHITECTURES: dict[str, str] = {
    "dawn": "edgebench.models.architectures.speech_transformer:Dawn",
    "distilhubert": "edgebench.models.architectures.speech_transformer:DistilHubert",
    "hubert_base": "edgebench.models.architectures.speech_transformer:HubertBase",
    "light_sernet": "edgebench.models.architectures.light_sernet:LightSerNet",
    "mobilenetv3_audioset": "edgebench.models.architectures.mobilenetv3_audioset:MobileNetV3AudioSet",
    "mobilenetv3_s": "edgebench.models.architectures.mobilenetv3_small:MobileNetV3Small",
    "mobilenetv4_l": "edgebench.models.architectures.mobilenetv4:MobileNetV4Large",
    "mobilenetv4_m": "edgebench.models.architectures.mobilenetv4:MobileNetV4Medium",
    "mobilenetv4_s": "edgebench.models.architectures.mobilenetv4:MobileNetV4Small",
    "teacher": "edgebench.models.architectures.wav2small_teacher:Wav2SmallTeacher",
    "wav2small": "edgebench.models.architectures.wav2small:Wav2Small",
    "wav2vec2_base": "edgebench.models.architectures.speech_transformer:Wav2Vec2Base",
    "wavlm_base": "edgebench.models.architectures.speech_transformer:WavLMBase",
    "wavlm_large": "edgebench.models.architectures.speech_transformer:WavLMLarge",
    "whisper_base": "edgebench.models.architectures.whisper:WhisperBase",
    "whisper_tiny": "edgebench.models.architectures.whisper:WhisperTiny",
}


def build_architecture(name: str, **options: Any) -> SpeechNet:
    """Build a module with random weights; the caller seeds torch first.

    Raises :class:`UsageError` for a name that is not in the table, with the nearest ones, and for an
    option that the architecture does not take (``weights``, where it has no checkpoint to read).
    """
    if name not in ARCHITECTURES:
        raise UsageError(f"architecture {name!r} is not known: {nearest(name, ARCHITECTURES)}.")
    module, _, attribute = ARCHITECTURES[name].partition(":")
    builder = getattr(importlib.import_module(module), attribute)
    taken = inspect.signature(builder).parameters
    for option in options:
        if option not in taken:
            raise UsageError(f"architecture {name!r} takes no option {option!r}: {nearest(option, taken)}.")
    built: SpeechNet = builder(**options)
    return built
