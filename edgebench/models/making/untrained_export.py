"""Writes the file of one net of random weights: ``python -m ...untrained_export NAME SEED FOLDER``.

A process of its own (see ``untrained``, which starts it). Needs torch.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import EdgebenchError, ModelError
from edgebench.models.architectures import build_architecture
from edgebench.models.artifact import Artifact
from edgebench.models.graph.macs import count_macs
from edgebench.models.making.export import (
    IR_VERSION,
    OPSET,
    export_onnx,
    save_artifact,
)
from edgebench.models.making.untrained import PARTS, TAG, WEIGHTS
from edgebench.models.manifest import Macs, Manifest
from edgebench.models.outputs import DIMENSIONS

if TYPE_CHECKING:
    import onnx
    from torch import nn

MACS_INPUT_S = 5.0
_EMOTION_HEAD = "emotion"  # the submodule of every architecture that names emotions


def export_untrained(name: str, *, seed: int, folder: Path) -> Artifact:
    """Build ``name``, an architecture or a part of one, and write it into ``folder`` with its manifest.

    The head that names emotions is left out: the papers' nets have arousal, dominance and valence alone.
    """
    import torch  # noqa: PLC0415

    torch.manual_seed(seed)
    if name in PARTS:
        module_name, _, class_name = PARTS[name].partition(":")
        part = getattr(importlib.import_module(module_name), class_name)()
        parameters, graph = adv_parameters(part), export_onnx(part)
        del part
    else:
        module = build_architecture(name)
        parameters, graph = adv_parameters(module), export_onnx(module, outputs=[DIMENSIONS])
        del module  # the graph holds the weights now
    return save_artifact(graph, _manifest(name, seed, graph, parameters=parameters), folder)


def adv_parameters(module: nn.Module) -> int:
    """Parameters of a net without its head of emotions, front end included."""
    return sum(
        parameter.numel()
        for name, parameter in module.named_parameters()
        if _EMOTION_HEAD not in name.split(".")
    )


def _manifest(name: str, seed: int, graph: onnx.ModelProto, *, parameters: int) -> Manifest:
    try:
        count = count_macs(graph, input_s=MACS_INPUT_S)
        macs = Macs(value=count.value, input_s=count.input_s, rule=count.rule)
    except ModelError:  # the row that it is for says that nobody counted them
        macs = None
    return Manifest(
        key=f"{name}.{TAG}",
        sha256=None,
        size_bytes=None,
        format="onnx",
        opset=OPSET,
        ir_version=IR_VERSION,
        sample_rate_hz=16_000,
        tasks={},  # random outputs mean nothing, and nothing may score them
        preparation=[],
        parameters=parameters,
        macs=macs,
        scheme={"name": "fp32", "weights": WEIGHTS, "seed": seed},
        training=None,
        licence="none: random numbers",
    )


def main(name: str, seed: str, folder: str) -> int:
    """Exit status 0, or that of the error, which is then said on stderr."""
    try:
        export_untrained(name, seed=int(seed), folder=Path(folder))
    except EdgebenchError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"{folder}: {error.strerror or error}\n")
        return ModelError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
