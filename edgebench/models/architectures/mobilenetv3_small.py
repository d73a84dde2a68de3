"""``mobilenetv3_s`` of the Wav2Small paper: the AudioSet net of width 1 over 26 mel bands.

The paper names it MobileNetV3-Small, cites EfficientAT (its reference [7]) and gives 3.14 M parameters,
0.4 GMAC and tokens 960 wide. EfficientAT publishes the large geometry at several widths and no small
one; 960 channels at the end are those of width 1 (``mn10_as``), whose convolutions alone have 2.97 M
parameters. What is left for the head cannot be that of MobileNetV4 (1.85 M), and what it was is not
known: here the tokens are narrowed to 128 before they are pooled, the one width in powers of two that
meets both of the paper's figures (3.13 M, 0.35 GMAC at 5 s). See
``docs/decisions/0013-mobilenets-of-table-1.md``.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from edgebench.models.architectures.mobilenetv3_audioset import AudioSetClassifier
from edgebench.models.checkpoints.hugging_face import read_checkpoint
from edgebench.models.checkpoints.weights import load_exactly
from edgebench.models.layers.frontend import LogMel
from edgebench.models.layers.log_mel_image import LogMelImage

NARROWED = 128


class _MelsFirst(nn.Module):
    """The layers read (mels, frames), as they were trained; all around it is (frames, mels)."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, image: Tensor) -> Tensor:
        maps: Tensor = self.layers(image.transpose(2, 3))
        return maps.transpose(2, 3)


class MobileNetV3Small(LogMelImage):
    """The AudioSet net of width 1 over 26 mel bands.

    ``weights`` is a checkpoint of :class:`AudioSetClassifier` at ``width`` (1: EfficientAT's ``mn10_as``).
    It is checked and loaded whole; then its ``classifier`` makes room for our pooling and heads, which
    always start at random. Raises :class:`ModelError` for a file that is no checkpoint, or is one of
    another architecture.
    """

    def __init__(
        self,
        *,
        emotions: int = 4,
        dropout: float = 0.0,
        width: float = 1.0,
        weights: str | Path | None = None,
    ) -> None:
        net = AudioSetClassifier(width=width)
        if weights is not None:
            load_exactly(net, read_checkpoint(weights).tensors, source=weights)
        super().__init__(
            _MelsFirst(net.features),
            log_mel=LogMel(),
            channels=1,
            width=net.width_out,
            narrowed=NARROWED,
            emotions=emotions,
            dropout=dropout,
        )
