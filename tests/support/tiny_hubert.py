"""DistilHuBERT's architecture at a size for tests: eight channels, sixteen dimensions, two heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebench.models.architectures import build_architecture

NAME = "tiny_hubert"
# Its row in the table of architectures, for a test to add.
PLACE = "support.tiny_hubert:tiny_hubert"
PLACE_OF_ONE_LAYER = "support.tiny_hubert:tiny_hubert_of_one_layer"
CONFIG = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


def tiny_hubert(*, dropout: float = 0.0, weights: str | Path | None = None) -> Any:
    return build_architecture("distilhubert", dropout=dropout, weights=weights, config=CONFIG)


def tiny_hubert_of_one_layer(*, dropout: float = 0.0, weights: str | Path | None = None) -> Any:
    """For tests that export it: a second transformer layer is traced for as long, and says nothing new."""
    return build_architecture(
        "distilhubert", dropout=dropout, weights=weights, config={**CONFIG, "num_hidden_layers": 1}
    )
