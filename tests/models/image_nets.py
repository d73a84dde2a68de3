"""The MobileNets over log-mels, small enough for tests: a tenth of the channels, few blocks a stage."""

from __future__ import annotations

from itertools import pairwise

import torch

from edgebench.models.architectures import build_architecture

IMAGE_NETS = ("mobilenetv3_s", "mobilenetv4_l", "mobilenetv4_m", "mobilenetv4_s")
TINY_WIDTH = 0.1
TINY_OPTIONS = {name: {"width": TINY_WIDTH} for name in IMAGE_NETS}


def tiny_image_net(name: str, *, seed: int = 0):
    """``name`` with a tenth of its channels, and of its blocks those that no other could stand in for."""
    torch.manual_seed(seed)
    net = build_architecture(name, **TINY_OPTIONS[name])
    if hasattr(net.trunk, "blocks"):
        for place, stage in enumerate(net.trunk.blocks):
            attention = [block for block in stage if hasattr(block, "attn")][:1]
            kept = [b for n, b in enumerate(stage) if n == 0 or not b.has_skip or b in attention]
            net.trunk.blocks[place] = torch.nn.Sequential(*kept)
    else:
        layers = list(net.trunk.layers)
        alike = [repr(layer) == repr(before) for before, layer in pairwise(layers)]
        kept = [layer for layer, again in zip(layers, [False, *alike], strict=True) if not again]
        net.trunk.layers = torch.nn.Sequential(*kept)
    return net


def with_statistics(net, example):
    """``net`` in eval mode, no batch norm an identity and no attention scaled to nothing.

    ``example`` is the input whose statistics the norms take.
    """
    torch.manual_seed(9)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
            module.momentum = 1.0
        elif hasattr(module, "gamma"):
            torch.nn.init.uniform_(module.gamma, 0.5, 1.5)
    with torch.no_grad():
        net.train()(example)
    return net.eval()
