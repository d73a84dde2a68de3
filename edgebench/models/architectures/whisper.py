"""Whisper's encoder with our two heads, over the clip's own frames.

A. Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022. The published net
always reads 30 s, most of it silence. Here positions are cut to the clip's frames, 50 a second, which takes a
tenth of the time on a short clip. Features of padded and of cut clips differ: one net, one way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebench.errors import ConfigError, ModelError, nearest
from edgebench.models.checkpoints.hugging_face import Checkpoint, read_checkpoint
from edgebench.models.checkpoints.torchvision_schema import declare
from edgebench.models.checkpoints.weights import load_exactly
from edgebench.models.layers.frontend import LogMel
from edgebench.models.layers.speech_heads import MeanHead
from edgebench.models.layers.speech_net import Answers, SpeechNet
from edgebench.models.outputs import EMBEDDING, HEADS, HIDDEN_STATES

_MELS, _N_FFT, _HOP = 80, 400, 160
_RANGE = 8.0  # decades below the clip's loudest value
_SAMPLE_RATE_HZ = 16_000
# In which names of a published checkpoint may begin: the encoder alone, with its decoder, with its head too.
_PREFIXES = ("model.encoder.", "encoder.", "")
_TASKS = ("model.decoder.", "decoder.", "proj_out.")
# What makes two configurations two encoders. Some of it shows in no tensor's name or shape.
_GEOMETRY = (
    "d_model",
    "encoder_attention_heads",
    "encoder_ffn_dim",
    "encoder_layers",
    "num_mel_bins",
    "max_source_positions",
    "activation_function",
)


class WhisperEncoder(SpeechNet):
    """The encoder of transformers with a head that averages over time.

    ``layers`` keeps that many of its transformer layers, from the first on. With ``weighted`` the head reads
    a learnt weighted sum of all hidden states, else the last one. ``weights`` is read by
    :func:`hugging_face.read_checkpoint`: an encoder, a whole Whisper, whose decoder is left out, or a
    net of ours; what is not exactly that is refused with :class:`ModelError`, and nothing is loaded.
    ``config`` replaces settings of the library's configuration, for other sizes. ``dropout`` acts in the
    head.

    Items of a batch that ``lengths`` (batch,) says are padded give what they give alone. A waveform holds
    more than 200 samples and at most 30 s; a longer one is a :class:`ModelError`.
    """

    available = (*HEADS, EMBEDDING, HIDDEN_STATES)
    takes_lengths = True
    hop_samples = 2 * _HOP
    settings: ClassVar[Mapping[str, Any]]

    def __init__(
        self,
        *,
        emotions: int = 4,
        dropout: float = 0.0,
        weights: str | Path | None = None,
        layers: int | None = None,
        weighted: bool = False,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._published = _configuration({**self.settings, **(config or {})})
        depth: int = self._published.encoder_layers
        if layers is not None and not 1 <= layers <= depth:
            raise ConfigError(f"layers = {layers}: this encoder has {depth}; take 1 to {depth} of them.")
        self.log_mel = LogMel(n_fft=_N_FFT, hop=_HOP, n_mels=_MELS)
        self.backbone = _backbone(self._published, depth if layers is None else layers)
        self.mix = nn.Parameter(torch.zeros(len(self.backbone.layers) + 1)) if weighted else None
        self.head = MeanHead(self._published.d_model, emotions=emotions, dropout=dropout)
        self._new = {name for name in self.state_dict() if name.startswith(("head.", "mix"))}
        if weights is not None:
            self._load(read_checkpoint(weights))

    def new_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the head, and the weights of the sum, that no checkpoint has filled."""
        yield from (parameter for name, parameter in self.named_parameters() if name in self._new)

    def front_end(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-mels (batch, 80, frames), 100 a second, as Whisper's own preparation makes them."""
        return self._scaled(self.log_mel, waveform, lengths)

    def features(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The same by one matrix product."""
        return self._scaled(self.log_mel.fast, waveform, lengths)

    def classify(
        self, features: Tensor, lengths: Tensor | None = None, *, outputs: Sequence[str] | None = None
    ) -> Answers:
        """From log-mels (batch, 80, frames)."""
        names = self.asked(outputs)
        sound = None if lengths is None else _within(lengths // _HOP, features.shape[2])
        hidden = functional.gelu(self.backbone.conv1(features))
        if sound is not None:
            hidden = hidden * sound.unsqueeze(1)  # behind a clip's end stands the convolution's own padding
        hidden = functional.gelu(self.backbone.conv2(hidden)).transpose(1, 2)
        hidden = hidden + self.backbone.embed_positions.weight[: hidden.shape[1]]
        mask = None
        if lengths is not None:
            sound = _within((lengths // _HOP + 1) // 2, hidden.shape[1])
            floor = torch.finfo(hidden.dtype).min
            mask = torch.zeros_like(sound, dtype=hidden.dtype).masked_fill(~sound, floor)[:, None, None]
        states = [hidden]
        for layer in self.backbone.layers:
            states.append(layer(states[-1], mask))
        states[-1] = self.backbone.layer_norm(states[-1])
        frames = states[-1] if self.mix is None else _mixed(states, self.mix)
        answers: Answers = self.head(frames, sound, [name for name in names if name != HIDDEN_STATES])
        if HIDDEN_STATES in names:
            answers[HIDDEN_STATES] = torch.stack(states, dim=1)
        return {name: answers[name] for name in names}

    def _scaled(self, log_mel: Any, waveform: Tensor, lengths: Tensor | None) -> Tensor:
        samples = waveform.shape[1]
        self._check_length(samples)
        if lengths is not None:
            waveform = _reflected(waveform, lengths)
        decades = log_mel(waveform).squeeze(1).transpose(1, 2)[:, :, : samples // _HOP] / 10.0
        sound = None if lengths is None else _within(lengths // _HOP, samples // _HOP).unsqueeze(1)
        audible = decades if sound is None else decades.masked_fill(~sound, -torch.inf)
        loudest = audible.amax(dim=(1, 2), keepdim=True)
        scaled: Tensor = (torch.maximum(decades, loudest - _RANGE) + 4.0) / 4.0
        return scaled if sound is None else scaled * sound

    def _check_length(self, samples: int) -> None:
        # While a file is traced, the length is no number. There, positions bound it.
        if torch.compiler.is_exporting():
            return
        longest = self.backbone.embed_positions.num_embeddings * self.hop_samples
        if samples // _HOP * _HOP > longest:
            raise ModelError(
                f"a waveform of {samples / _SAMPLE_RATE_HZ:.1f} s: this encoder has positions for "
                f"{longest / _SAMPLE_RATE_HZ:g} s. Cut it into pieces, or train with shorter windows."
            )

    def _load(self, checkpoint: Checkpoint) -> None:
        tensors, state = checkpoint.tensors, self.state_dict()
        self._check_geometry(checkpoint)
        if any(name.startswith("backbone.") for name in tensors):  # one of ours
            load_exactly(self, tensors, source=checkpoint.source)
            self._new = set()
            return
        prefix = next(p for p in _PREFIXES if any(n.startswith(p) for n in tensors) or not p)
        cut_away = range(len(self.backbone.layers), self._published.encoder_layers)
        found = {}
        for name, tensor in tensors.items():
            inside = name.removeprefix(prefix)
            if not name.startswith(_TASKS) and _layer(inside) not in cut_away:
                found[f"backbone.{inside}"] = tensor
        found |= {name: tensor for name, tensor in state.items() if not name.startswith("backbone.")}
        load_exactly(self, found, source=checkpoint.source)

    def _check_geometry(self, checkpoint: Checkpoint) -> None:
        """Refuse a configuration of another encoder; tensors tell the rest."""
        kind = checkpoint.config.get("model_type")
        if kind is None:
            return
        if kind != "whisper":
            raise ModelError(
                f"weights {checkpoint.source} are of another architecture: their config.json says model_type "
                f"{kind!r}, and 'whisper' was expected. Nothing was loaded."
            )
        theirs = _configuration(checkpoint.config)
        differ = [
            f"{key} is {found} instead of {expected}"
            for key in _GEOMETRY
            if (found := getattr(theirs, key)) != (expected := getattr(self._published, key))
        ]
        if differ:
            raise ModelError(
                f"weights {checkpoint.source} are of another Whisper: by their config.json "
                f"{', '.join(differ)}. Nothing was loaded. Give a checkpoint of this size."
            )


def _configuration(settings: Mapping[str, Any]) -> Any:
    declare()
    from transformers import WhisperConfig  # noqa: PLC0415  (after declare)

    known = WhisperConfig().to_dict()
    for key in settings:
        if key not in known:
            raise ConfigError(f"config of 'whisper' has no setting {key!r}: {nearest(key, known)}.")
    return WhisperConfig(**settings)


def _backbone(published: Any, layers: int) -> Any:
    """The library's encoder at random, from torch's generator."""
    from transformers import WhisperConfig  # noqa: PLC0415
    from transformers.models.whisper.modeling_whisper import WhisperEncoder as Encoder  # noqa: PLC0415

    configuration = WhisperConfig(**{**published.to_dict(), "encoder_layers": layers})
    configuration._attn_implementation = "eager"  # its products stand in the file, and are counted
    return Encoder(configuration)


def _reflected(waveform: Tensor, lengths: Tensor) -> Tensor:
    """Behind each clip's end the clip runs backwards, as far as the last window looks."""
    half = _N_FFT // 2
    place = torch.arange(waveform.shape[1] + half, device=waveform.device)
    last = lengths[:, None] - 1
    index = torch.where(place <= last, place, 2 * last - place).clamp(min=0)
    return waveform.gather(1, index)


def _within(counts: Tensor, size: int) -> Tensor:
    """Which of ``size`` places (batch, size) lie within ``counts`` (batch,)."""
    return torch.arange(size, device=counts.device) < counts[:, None]


def _mixed(states: Sequence[Tensor], mix: Tensor) -> Tensor:
    share = mix.softmax(0)
    return torch.stack([share[i] * state for i, state in enumerate(states)]).sum(0)


def _layer(name: str) -> int:
    """The transformer layer that a tensor belongs to; -1 for one outside of them."""
    parts = name.split(".")
    return int(parts[1]) if parts[0] == "layers" and parts[1].isdigit() else -1


class WhisperTiny(WhisperEncoder):
    """Four layers of 384; published as ``openai/whisper-tiny`` and ``openai/whisper-tiny.en``."""

    settings: ClassVar[Mapping[str, Any]] = {
        "d_model": 384,
        "encoder_layers": 4,
        "encoder_attention_heads": 6,
        "encoder_ffn_dim": 1536,
    }


class WhisperBase(WhisperEncoder):
    """Six layers of 512; published as ``openai/whisper-base`` and ``openai/whisper-base.en``."""

    settings: ClassVar[Mapping[str, Any]] = {
        "d_model": 512,
        "encoder_layers": 6,
        "encoder_attention_heads": 8,
        "encoder_ffn_dim": 2048,
    }
