"""Makes the second export of a process cheaper than the first."""

from __future__ import annotations

import functools
import importlib


@functools.cache
def read_operators_once() -> None:
    """Let torch's exporter read the operators that it knows once in this process.

    Otherwise it parses the sources of some five hundred functions anew for every net, which takes a second.
    """
    try:
        registration = importlib.import_module("torch.onnx._internal.exporter._registration")
        library = registration.onnxscript_apis
        library.get_torchlib_ops = functools.cache(library.get_torchlib_ops)
    except (ImportError, AttributeError):
        pass  # without torch nothing is exported; another version of it is as slow as it was
