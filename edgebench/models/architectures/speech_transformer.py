"""Speech transformers with our two heads: wav2vec 2.0, HuBERT and WavLM as transformers builds them.

A convolutional encoder makes a frame of every 320 samples, a transformer relates the frames, a head
(:mod:`speech_heads`) pools them. Attention is eager, so that the products stand in the exported graph
and are counted. Two things of the libraries' pre-training are off, since fine-tuning has its own: layers
dropped whole (layerdrop) and masked frames (which transformers draws from numpy's global generator, out
of reach of a seed and of an exact resume).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from edgebench.errors import ConfigError, ModelError, nearest
from edgebench.models.checkpoints.hugging_face import Checkpoint, read_checkpoint
from edgebench.models.checkpoints.torchvision_schema import declare
from edgebench.models.checkpoints.weights import load_exactly
from edgebench.models.layers.level import Level, Rule, corpus_level
from edgebench.models.layers.speech_heads import AttentiveStatisticsHead, DenseTanhHead, MeanHead
from edgebench.models.layers.speech_net import Answers, SpeechNet
from edgebench.models.outputs import EMBEDDING, HEADS, HIDDEN_STATES

_OFF = {"layerdrop": 0.0, "apply_spec_augment": False, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}
LARGE = {
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "feat_proj_dropout": 0.1,
}
# What makes two configurations two architectures. Some of it shows in no tensor's name or shape.
_GEOMETRY = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "conv_dim",
    "conv_stride",
    "conv_kernel",
    "conv_bias",
    "feat_extract_norm",
    "feat_extract_activation",
    "feat_proj_layer_norm",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "conv_pos_batch_norm",
    "do_stable_layer_norm",
    "num_buckets",
    "max_bucket_distance",
    "add_adapter",
    "adapter_attn_dim",
)
# Of pre-training and of other tasks; what they computed is no part of our nets.
_TASKS = (
    "quantizer.",
    "project_hid.",
    "project_q.",
    "final_proj.",
    "label_embs_concat",
    "lm_head.",
    "projector.",
    "classifier.",
    "layer_weights",
)
_MASK = "masked_spec_embed"  # the vector put in the place of masked frames
_ODYSSEY = "ssl_model"  # the backbone's name in the Odyssey 2024 baseline, whose config is of type "ser"


class SpeechTransformer(SpeechNet):
    """A backbone of the transformers library with a head for dimensions and emotions.

    ``lengths`` (batch,) are the samples of each item where a batch is padded at its end: padding is then
    neither attended to nor pooled. Where the encoder normalises over time (group norm: the base nets), its
    first layer still averages over the padding, in these nets as in the published ones; elsewhere an item
    of a padded batch gives what it gives alone. At least 400 samples an item are needed.

    ``weights`` is read by :func:`hugging_face.read_checkpoint`: a bare backbone, one that was
    pre-trained or fine-tuned for another task (whose head is left out), the published checkpoint of this
    architecture, or a net of ours. Whatever is not exactly that is refused with :class:`ModelError`, and
    nothing is loaded. ``normalise`` overrides what the checkpoint says of the waveform's level (at mean 0
    and variance 1, or as it is). ``config`` replaces settings of the library's configuration, for other
    sizes; an unknown one is a :class:`ConfigError`. ``dropout`` acts in the head.
    """

    available = (*HEADS, EMBEDDING, HIDDEN_STATES)
    takes_lengths = True
    kind: ClassVar[str]  # transformers' model_type
    settings: ClassVar[Mapping[str, Any]]
    normalised: ClassVar[bool]  # do_normalize of the published preprocessor
    head_type: ClassVar[type[MeanHead] | type[DenseTanhHead] | type[AttentiveStatisticsHead]] = MeanHead
    takes_deeper: ClassVar[bool] = False  # a checkpoint of more layers is cut

    def __init__(
        self,
        *,
        emotions: int = 4,
        dropout: float = 0.0,
        weights: str | Path | None = None,
        config: Mapping[str, Any] | None = None,
        normalise: bool | None = None,
    ) -> None:
        super().__init__()
        settings = {**self.settings, **_OFF, **(config or {})}
        self.level = Level(Rule(self.normalised if normalise is None else normalise))
        self.backbone = _backbone(self.kind, settings)
        self.head = self.head_type(self.backbone.config.hidden_size, emotions=emotions, dropout=dropout)
        self.hop_samples = math.prod(self.backbone.config.conv_stride)
        self._new = {f"head.{name}" for name, _ in self.head.named_parameters()}
        if weights is not None:
            self._load(read_checkpoint(weights), normalise)

    def new_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the head that no checkpoint has filled."""
        yield from (parameter for name, parameter in self.named_parameters() if name in self._new)

    def freeze_feature_encoder(self) -> None:
        """Leave the convolutions in front of the transformer as they are."""
        # What the library's freeze_feature_encoder() calls, which not every one of its nets has.
        self.backbone.feature_extractor._freeze_parameters()

    def front_end(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The waveform (batch, samples) at the level that the weights were trained with."""
        found: Tensor = self.level(waveform, _sound(lengths, waveform.shape[1]))
        return found

    def classify(
        self, features: Tensor, lengths: Tensor | None = None, *, outputs: Sequence[str] | None = None
    ) -> Answers:
        """From a waveform at its level."""
        names = self.asked(outputs)
        sound = _sound(lengths, features.shape[1])
        mask = None if sound is None else sound.long()
        every_layer = HIDDEN_STATES in names
        found = self.backbone(features, attention_mask=mask, output_hidden_states=every_layer)
        frames: Tensor = found.last_hidden_state
        if lengths is not None:
            sound = _sound(self.frames(lengths), frames.shape[1])
        answers: Answers = self.head(frames, sound, [name for name in names if name != HIDDEN_STATES])
        if every_layer:
            answers[HIDDEN_STATES] = torch.stack(found.hidden_states, dim=1)
        return {name: answers[name] for name in names}

    def frames(self, samples: Tensor) -> Tensor:
        """How many frames (batch,) the encoder makes of so many samples; it does not pad."""
        config = self.backbone.config
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
            samples = torch.div(samples - kernel, stride, rounding_mode="floor") + 1
        return samples

    def _load(self, checkpoint: Checkpoint, normalise: bool | None) -> None:
        tensors, source = checkpoint.tensors, checkpoint.source
        self._check(checkpoint)
        if any(name.startswith("backbone.") for name in tensors):  # one of ours
            load_exactly(self, tensors, source=source)
            self._new = set()
        else:
            prefix = next(
                (p for p in (self.kind, _ODYSSEY) if any(n.startswith(f"{p}.") for n in tensors)), None
            )
            found = self._named(tensors, prefix)
            state = self.state_dict()
            if filled := {name for name in found if name.startswith("head.")}:
                self._new = {name for name in self._new if name.startswith("head.emotion.")}
            else:
                found |= {name: tensor for name, tensor in state.items() if name.startswith("head.")}
            # Ours alone, whatever the checkpoint: the level, which its settings hold, and the emotions.
            found |= {name: state[name] for name in state if name.startswith(("level.", "head.emotion."))}
            load_exactly(self, found, source=source)
            self._set_level(checkpoint, odyssey=prefix == _ODYSSEY and bool(filled))
        if normalise is not None:
            self.level = Level(Rule(normalise))

    def _named(self, tensors: Mapping[str, Tensor], prefix: str | None) -> dict[str, Tensor]:
        """A foreign checkpoint's tensors by our names, without those of its own pre-training or task."""
        depth = self.backbone.config.num_hidden_layers
        found = {}
        for name, tensor in tensors.items():
            inside = name if prefix is None else name.removeprefix(f"{prefix}.")
            if name in self.head_type.PUBLISHED:
                found[f"head.{self.head_type.PUBLISHED[name]}"] = tensor
            elif inside == _MASK or (inside == name and name.startswith(_TASKS)):
                continue
            elif prefix is not None and inside == name:
                found[name] = tensor  # beside the backbone, and of no task that we know
            elif not (self.takes_deeper and _layer(inside) >= depth):
                found[f"backbone.{inside}"] = tensor
        return found

    def _set_level(self, checkpoint: Checkpoint, *, odyssey: bool) -> None:
        said = checkpoint.preprocessor.get("do_normalize")
        if odyssey:
            level = corpus_level(checkpoint.config.get("mean"), checkpoint.config.get("std"))
            if level is None:
                raise ModelError(
                    f"weights {checkpoint.source}: this net reads waveforms at the mean and deviation of its "
                    "training corpus, and no config.json beside it holds a usable 'mean' and 'std'. Give the "
                    "published folder with its config.json."
                )
            self.level = level
        elif isinstance(said, bool):
            self.level = Level(Rule(said))

    def _check(self, checkpoint: Checkpoint) -> None:
        """Refuse a configuration of another architecture; tensors tell the rest."""
        found = checkpoint.config.get("model_type")
        if found is None or found == "ser":
            return
        if found != self.kind:
            raise ModelError(
                f"weights {checkpoint.source} are of another architecture: their config.json says model_type "
                f"{found!r}, and {self.kind!r} was expected. Nothing was loaded."
            )
        theirs, ours = _configuration(self.kind, checkpoint.config), self.backbone.config
        differ = []
        for key in _GEOMETRY:
            a, b = _plain(getattr(theirs, key, None)), _plain(getattr(ours, key, None))
            if a != b and not (key == "num_hidden_layers" and self.takes_deeper and a > b):
                differ.append(f"{key} is {a} instead of {b}")
        if differ:
            raise ModelError(
                f"weights {checkpoint.source} are of another architecture: by their config.json "
                f"{', '.join(differ)}. Nothing was loaded. Give a checkpoint of this architecture and size."
            )


def _configuration(kind: str, settings: Mapping[str, Any]) -> Any:
    declare()
    import transformers  # noqa: PLC0415  (after declare)

    classes = {
        "hubert": transformers.HubertConfig,
        "wav2vec2": transformers.Wav2Vec2Config,
        "wavlm": transformers.WavLMConfig,
    }
    return classes[kind](**settings)


def _backbone(kind: str, settings: Mapping[str, Any]) -> Any:
    """The library's net at random, from torch's generator."""
    known = _configuration(kind, {}).to_dict()
    for key in settings:
        if key not in known:
            raise ConfigError(f"config of {kind!r} has no setting {key!r}: {nearest(key, known)}.")
    configuration = _configuration(kind, settings)
    configuration._attn_implementation = "eager"
    import transformers  # noqa: PLC0415

    classes = {
        "hubert": transformers.HubertModel,
        "wav2vec2": transformers.Wav2Vec2Model,
        "wavlm": transformers.WavLMModel,
    }
    return classes[kind](configuration)


def _sound(lengths: Tensor | None, size: int) -> Tensor | None:
    """Which of ``size`` places (batch, size) lie within ``lengths`` (batch,)."""
    return None if lengths is None else torch.arange(size, device=lengths.device) < lengths[:, None]


def _layer(name: str) -> int:
    """The transformer layer that a tensor belongs to; -1 for one outside of them."""
    parts = name.split(".")
    return int(parts[2]) if parts[:2] == ["encoder", "layers"] and parts[2].isdigit() else -1


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


class DistilHubert(SpeechTransformer):
    """HuBERT's encoder and two layers: H. Chang et al., "DistilHuBERT", ICASSP 2022.

    Published as ``ntu-spml/distilhubert``, without the three heads of its distillation.
    """

    kind, normalised = "hubert", False
    settings: ClassVar[Mapping[str, Any]] = {"num_hidden_layers": 2, "feat_proj_layer_norm": False}


class HubertBase(SpeechTransformer):
    """W.-N. Hsu et al., "HuBERT", IEEE/ACM TASLP 29, 2021; published as ``facebook/hubert-base-ls960``."""

    kind, normalised = "hubert", True
    settings: ClassVar[Mapping[str, Any]] = {"feat_proj_dropout": 0.1}


class Wav2Vec2Base(SpeechTransformer):
    """A. Baevski et al., "wav2vec 2.0", NeurIPS 2020; published as ``facebook/wav2vec2-base``."""

    kind, normalised = "wav2vec2", True
    settings: ClassVar[Mapping[str, Any]] = {"feat_proj_dropout": 0.1}


class WavLMBase(SpeechTransformer):
    """S. Chen et al., "WavLM", IEEE JSTSP 16 (6), 2022; published as ``microsoft/wavlm-base``."""

    kind, normalised = "wavlm", False
    settings: ClassVar[Mapping[str, Any]] = {"feat_proj_dropout": 0.1}


class Dawn(SpeechTransformer):
    """The first twelve of wav2vec2-large-robust's 24 layers, and the A/D/V head of audEERING's model.

    ``weights`` may be ``audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim`` (its head fills ours), or
    any checkpoint of twelve layers or more, such as ``facebook/wav2vec2-large-robust``.
    """

    kind, normalised = "wav2vec2", True
    settings: ClassVar[Mapping[str, Any]] = {**LARGE, "num_hidden_layers": 12, "conv_bias": True}
    head_type, takes_deeper = DenseTanhHead, True


class WavLMLarge(SpeechTransformer):
    """WavLM large (24 layers) with the head of the Odyssey 2024 baseline, which is Wav2Small's "WavLM [1]".

    ``weights`` may be ``3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes`` (its head fills ours, and the
    waveform is levelled by its corpus's figures), or a checkpoint of ``microsoft/wavlm-large``.
    """

    kind, normalised = "wavlm", True
    settings: ClassVar[Mapping[str, Any]] = {**LARGE, "num_hidden_layers": 24}
    head_type = AttentiveStatisticsHead
