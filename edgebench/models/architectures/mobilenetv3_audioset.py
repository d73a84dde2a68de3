"""MobileNetV3-Large over log-mels, in the geometry that was trained on AudioSet, with our two heads.

Geometry: A. Howard et al., "Searching for MobileNetV3", ICCV 2019, Table 1, one input channel. Widths,
squeeze and excitation over channels, and the norm's constants: F. Schmid, K. Koutini, G. Widmer,
"Efficient Large-Scale Audio Tagging Via Transformer-to-CNN Knowledge Distillation", ICASSP 2023
(EfficientAT). At width 0.4 it loads their checkpoint ``mn04_as``. Modules bear the checkpoint's names,
so that loading is an identity and every tensor can be accounted for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from edgebench.models.checkpoints.weights import load_exactly, read_weights
from edgebench.models.layers.audioset_frontend import HOP, AudioSetLogMel
from edgebench.models.layers.speech_net import Answers, SpeechNet, read_heads

AUDIOSET_CLASSES = 527
HEAD_DEVIATION = 0.01  # MobileNetV3's, of every linear layer
NORM_EPSILON, NORM_MOMENTUM = 1e-3, 1e-2  # MobileNetV3's


class Bottleneck(NamedTuple):
    """One row of the paper's Table 1, at width 1: kernel, expanded, out, gate, hard-swish, stride."""

    kernel: int
    expanded: int
    out: int
    gate: bool
    hardswish: bool
    stride: int


STEM, EMBEDDING = 16, 1280
BOTTLENECKS = (
    Bottleneck(3, 16, 16, False, False, 1),
    Bottleneck(3, 64, 24, False, False, 2),
    Bottleneck(3, 72, 24, False, False, 1),
    Bottleneck(5, 72, 40, True, False, 2),
    Bottleneck(5, 120, 40, True, False, 1),
    Bottleneck(5, 120, 40, True, False, 1),
    Bottleneck(3, 240, 80, False, True, 2),
    Bottleneck(3, 200, 80, False, True, 1),
    Bottleneck(3, 184, 80, False, True, 1),
    Bottleneck(3, 184, 80, False, True, 1),
    Bottleneck(3, 480, 112, True, True, 1),
    Bottleneck(3, 672, 112, True, True, 1),
    Bottleneck(5, 672, 160, True, True, 2),
    Bottleneck(5, 960, 160, True, True, 1),
    Bottleneck(5, 960, 160, True, True, 1),
)


def in_eights(channels: float) -> int:
    """The nearest multiple of 8, at least 8, and never below nine tenths of what was asked."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def _convolution(
    channels_in: int, channels_out: int, activation: nn.Module | None, *, kernel: int = 1, stride: int = 1
) -> nn.Sequential:
    """Convolution and norm; a kernel wider than 1 between equal widths is depthwise."""
    groups = channels_in if kernel > 1 and channels_in == channels_out else 1
    layers: list[nn.Module] = [
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels_out, eps=NORM_EPSILON, momentum=NORM_MOMENTUM),
    ]
    return nn.Sequential(*layers, *([activation] if activation else []))


class _ChannelGate(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = in_eights(channels // 4)
        self.fc1, self.fc2 = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)

    def forward(self, maps: Tensor) -> Tensor:
        gate: Tensor = self.fc2(self.fc1(maps.mean((2, 3))).relu()).sigmoid()
        return maps * gate[:, :, None, None]


class _Gates(nn.Module):
    """Squeeze and excitation; the checkpoint's naming allows for several axes, and has channels alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([_ChannelGate(channels)])

    def forward(self, maps: Tensor) -> Tensor:
        for gate in self.conc_se_layers:
            maps = gate(maps)
        return maps


class _InvertedResidual(nn.Module):
    def __init__(self, channels_in: int, row: Bottleneck, *, width: float) -> None:
        super().__init__()
        expanded, out = in_eights(row.expanded * width), in_eights(row.out * width)
        activation: type[nn.Module] = nn.Hardswish if row.hardswish else nn.ReLU
        layers: list[nn.Module] = []
        if expanded != channels_in:
            layers.append(_convolution(channels_in, expanded, activation()))
        layers.append(_convolution(expanded, expanded, activation(), kernel=row.kernel, stride=row.stride))
        if row.gate:
            layers.append(_Gates(expanded))
        layers.append(_convolution(expanded, out, None))
        self.block = nn.Sequential(*layers)
        self.shortcut = row.stride == 1 and channels_in == out

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.block(maps)
        return maps + found if self.shortcut else found


class AudioSetClassifier(nn.Module):
    """The net as it was trained on AudioSet: log-mel (batch, 1, mels, frames) to (batch, 527) logits."""

    def __init__(self, *, width: float = 0.4, dropout: float = 0.0) -> None:
        super().__init__()
        channels = in_eights(STEM * width)
        layers: list[nn.Module] = [_convolution(1, channels, nn.Hardswish(), kernel=3, stride=2)]
        for row in BOTTLENECKS:
            layers.append(_InvertedResidual(channels, row, width=width))
            channels = in_eights(row.out * width)
        self.width_out, hidden = 6 * channels, in_eights(EMBEDDING * width)
        layers.append(_convolution(channels, self.width_out, nn.Hardswish()))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(1),
            nn.Linear(self.width_out, hidden),
            nn.Hardswish(),
            nn.Dropout(dropout),
            nn.Linear(hidden, AUDIOSET_CLASSES),
        )
        self.apply(_initialise)

    def forward(self, log_mel: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(log_mel))
        return logits


def audioset_classifier(weights: str | Path) -> AudioSetClassifier:
    """The net of width 0.4 with a checkpoint's weights, all of them, in eval mode.

    Raises :class:`ModelError` for a file that is not a checkpoint, or is one of another architecture.
    """
    net = AudioSetClassifier()
    load_exactly(net, read_weights(weights), source=weights)
    return net.eval()


class MobileNetV3AudioSet(SpeechNet):
    """The net that was trained on AudioSet, with heads for dimensions and emotions in place of its classes.

    ``weights`` names a checkpoint of :class:`AudioSetClassifier`. It is checked and loaded whole; then
    the layer of the 527 AudioSet classes makes room for our heads, which always start at random, as
    everything does without ``weights``. Raises :class:`ModelError` like :func:`audioset_classifier`.
    """

    hop_samples = HOP

    def __init__(
        self,
        *,
        emotions: int = 4,
        dropout: float = 0.0,
        width: float = 0.4,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__()
        net = AudioSetClassifier(width=width)
        if weights is not None:
            load_exactly(net, read_weights(weights), source=weights)
        self.log_mel = AudioSetLogMel()
        self.trunk = net.features
        embedding = net.classifier[2]
        assert isinstance(embedding, nn.Linear)
        self.embedding, self.activation = embedding, nn.Hardswish()
        self.dropout = nn.Dropout(dropout)
        self.adv = nn.Linear(embedding.out_features, 3)
        self.emotion = nn.Linear(embedding.out_features, emotions)
        for head, middle in ((self.adv, 0.5), (self.emotion, 0.0)):
            # Answers start together at the middle of their range. Where they start far apart, the
            # gradient of 1 - CCC is small, and a batch is not learnt in many times as many steps.
            nn.init.normal_(head.weight, std=HEAD_DEVIATION)
            nn.init.constant_(head.bias, middle)

    def new_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the heads."""
        yield from self.adv.parameters()
        yield from self.emotion.parameters()

    def features(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-mel (batch, 1, frames, 128) by one matrix product, without gradient."""
        return self.log_mel.fast(waveform)

    def front_end(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-mel (batch, 1, frames, 128)."""
        log_mel: Tensor = self.log_mel(waveform)
        return log_mel

    def classify(
        self, features: Tensor, lengths: Tensor | None = None, *, outputs: Sequence[str] | None = None
    ) -> Answers:
        """From log-mel (batch, 1, frames, 128)."""
        names = self.asked(outputs)
        maps = self.trunk(features.transpose(2, 3))
        return read_heads(self, self.activation(self.embedding(maps.mean((2, 3)))), names)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
