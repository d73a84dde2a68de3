"""MobileNetV4 over log-mels in the three sizes of the Wav2Small paper, with timm's trunks.

Trunks: D. Qin et al., "MobileNetV4: Universal Models for the Mobile Ecosystem", ECCV 2024, as the timm
library builds them; the paper's footnote 2 names the ImageNet checkpoints. What stands around them:
:mod:`edgebench.models.layers.log_mel_image`. The head convolution of timm (960 to 1280) is not
part: the paper's tokens are 960 wide, and its parameter counts have no room for it.

At 5 s, front end included, without the emotion head, which is ours: 3.115, 10.415 and 31.952 M parameters
(paper: 3.12, 10.38, 31.87) and 0.44, 1.69 and 2.27 GMAC (paper: 0.4, 1.7, 2.2).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from edgebench.models.checkpoints.hugging_face import read_checkpoint
from edgebench.models.checkpoints.torchvision_schema import declare
from edgebench.models.checkpoints.weights import load_exactly
from edgebench.models.layers.frontend import LogMel
from edgebench.models.layers.log_mel_image import LogMelImage

IMAGENET_CLASSES = 1000
_CLASSIFIER_BIAS = "classifier.bias"


class _AveragePool(nn.Module):
    """Halves both axes by means of 2 x 2; an odd last frame is kept, where timm's pooling drops it.

    The same as timm's on images of even sides. Without it a short recording ends in a map of no frames.
    """

    def forward(self, maps: Tensor) -> Tensor:
        doubled = torch.cat([maps, maps[:, :, -1:]], dim=2)  # of an odd length, the last frame with itself
        return nn.functional.avg_pool2d(doubled, 2)


class _Affine(nn.Module):
    """A batch norm before an attention: no convolution stands in front of it to take it in.

    Without training it is a factor and a term a channel, and a graph holds no more than these.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, maps: Tensor) -> Tensor:
        norm = self.norm
        if self.training:
            normalised: Tensor = norm(maps)
            return normalised
        assert norm.running_mean is not None
        assert norm.running_var is not None
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        term = norm.bias - norm.running_mean * factor
        return maps * factor[:, None, None] + term[:, None, None]


class MobileNetV4Trunk(nn.Module):
    """timm's MobileNetV4 up to its last maps: image (batch, 3, h, w) to (batch, width, h / 32, w / 32)."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.conv_stem: nn.Module = net.conv_stem
        self.bn1: nn.Module = net.bn1
        self.blocks: nn.Module = net.blocks
        for module in list(self.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.AvgPool2d):
                    setattr(module, name, _AveragePool())
                elif isinstance(child, nn.BatchNorm2d) and name == "norm" and hasattr(module, "attn"):
                    module.norm = _Affine(child)

    def forward(self, image: Tensor) -> Tensor:
        maps: Tensor = self.blocks(self.bn1(self.conv_stem(image)))
        return maps


def timm_net(variant: str, *, width: float = 1.0, classes: int = IMAGENET_CLASSES) -> Any:
    """timm's net of that name, classifier included, with random weights; ``width`` scales its channels."""
    declare()
    from timm.models import mobilenetv3  # noqa: PLC0415

    options = {"aa_layer": "avg"} if "_aa_" in variant else {}
    return mobilenetv3._gen_mobilenet_v4(variant, width, num_classes=classes, **options)


class MobileNetV4(LogMelImage):
    """A trunk of timm over log-mels.

    ``weights`` is a checkpoint of timm's net of that name with any number of classes. It is checked and
    loaded whole; then its head convolution and classifier (``conv_head``, ``norm_head``, ``classifier``)
    make room for our pooling and heads, which always start at random. ``width`` other than 1 is for
    tests. Raises :class:`ModelError` for a file that is no checkpoint, or is one of another architecture.
    """

    VARIANT: ClassVar[str]
    PUBLISHED: ClassVar[str]  # the hub id that the paper names
    N_FFT, HOP, MELS = 64, 32, 26

    def __init__(
        self,
        *,
        emotions: int = 4,
        dropout: float = 0.0,
        width: float = 1.0,
        weights: str | Path | None = None,
    ) -> None:
        if weights is None:
            net = timm_net(self.VARIANT, width=width)
        else:
            tensors = read_checkpoint(weights).tensors
            bias = tensors.get(_CLASSIFIER_BIAS)
            classes = IMAGENET_CLASSES if bias is None else bias.numel()
            net = timm_net(self.VARIANT, width=width, classes=classes)
            load_exactly(net, tensors, source=weights)
        super().__init__(
            MobileNetV4Trunk(net),
            log_mel=LogMel(n_fft=self.N_FFT, hop=self.HOP, n_mels=self.MELS),
            channels=3,
            width=net.num_features,
            emotions=emotions,
            dropout=dropout,
        )


class MobileNetV4Small(MobileNetV4):
    """MobileNetV4-Conv-Small."""

    VARIANT = "mobilenetv4_conv_small"
    PUBLISHED = "timm/mobilenetv4_conv_small.e1200_r224_in1k"


class MobileNetV4Medium(MobileNetV4):
    """MobileNetV4-Hybrid-Medium: convolutions, and attention over all places of a map, at any length."""

    VARIANT = "mobilenetv4_hybrid_medium"
    PUBLISHED = "timm/mobilenetv4_hybrid_medium.ix_e550_r384_in1k"


class MobileNetV4Large(MobileNetV4):
    """MobileNetV4-Conv-Large with average pooling against aliasing.

    Five halvings of 26 mel bands, the last four without rounding up, leave no band; the paper therefore
    takes 144 points here and does not say how many bands. 58 keep its ratio of bands to bins (26 of 33
    and 58 of 73), and 52 to 59 give its count of multiply-accumulates.
    """

    VARIANT = "mobilenetv4_conv_aa_large"
    PUBLISHED = "timm/mobilenetv4_conv_aa_large.e230_r448_in12k_ft_in1k"
    N_FFT, HOP, MELS = 144, 72, 58
