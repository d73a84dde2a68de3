"""Speech transformers small enough for tests: the real wiring, few channels, nothing dropped."""

from __future__ import annotations

import torch

from edgebench.models.architectures import build_architecture
from edgebench.models.checkpoints.torchvision_schema import declare

SPEECH_NETS = (
    "dawn",
    "distilhubert",
    "hubert_base",
    "teacher",
    "wav2vec2_base",
    "wavlm_base",
    "wavlm_large",
)
TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
}
# By architecture: what makes one small. A test that walks the table builds the others as they are.
TINY_OPTIONS = {name: {"config": TINY} for name in SPEECH_NETS}


def tiny_net(name: str, **options):
    """The architecture ``name`` at a few thousand parameters, in eval mode."""
    return build_architecture(name, config=TINY, **options).eval()


def noise(*shape: int, seed: int = 0):
    """Quiet white noise of that shape."""
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def library():
    """transformers, once torchvision is kept from breaking it."""
    declare()
    import transformers

    return transformers


def same(a: dict, b: dict) -> bool:
    """Whether two state dictionaries are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
