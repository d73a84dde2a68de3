"""Whisper's encoder small enough for tests: the real wiring, few channels, all of its 30 s."""

from __future__ import annotations

from edgebench.models.architectures import build_architecture

WHISPER_NETS = ("whisper_base", "whisper_tiny")
TINY = {"d_model": 32, "encoder_attention_heads": 2, "encoder_ffn_dim": 48, "encoder_layers": 2}
TINY_OPTIONS = {name: {"config": TINY} for name in WHISPER_NETS}


def tiny_whisper(**options):
    """A few ten thousand parameters and two layers, in eval mode."""
    return build_architecture("whisper_tiny", config=TINY, **options).eval()
