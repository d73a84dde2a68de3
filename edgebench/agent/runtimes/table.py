"""Which runtimes there are. A new one is a module in this folder and a row here.

The module has the runtime's name and a class ``Runtime`` (see ``base``). It is imported only when the
runtime is wanted: the host reads this table without having any of them.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from edgebench.agent.runtimes.base import Runtime

# Runtime -> the formats of the files that it loads. Of two runtimes that load a format, the one that
# stands first is used unless another is asked for.
RUNTIMES: dict[str, tuple[str, ...]] = {
    "onnxruntime": ("onnx",),
    "litert": ("tflite",),
    "tflite_runtime": ("tflite",),
    "null": (),
}

# Runtimes that can write a trace of one launch: the time of each operator.
TRACED = ("onnxruntime",)


def runtimes_for(model_format: str) -> list[str]:
    """The runtimes that load files of a format, the default first; [] for a format nobody loads."""
    return [name for name, formats in RUNTIMES.items() if model_format in formats]


def make(name: str) -> Runtime:
    """Import a runtime and make it. Raises KeyError for an unknown name and whatever the import raises."""
    from importlib import import_module

    if name not in RUNTIMES:
        raise KeyError(name)
    runtime: Runtime = import_module("edgebench.agent.runtimes." + name).Runtime()
    return runtime
