"""torchvision beside a torch that it was not built for: what lets timm and transformers import at all.

Both import torchvision where it is installed. Its compiled half does not load beside another build of
torch (a CUDA wheel beside a CPU one, for instance), and its Python half then fails on
``operator torchvision::nms does not exist``, because it describes two operators that nobody declared.
None of our nets uses either: with the two schemas declared, the import goes through.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec

import torch

_ARGUMENTS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def declare() -> torch.library.Library | None:
    """Call before the first import of timm or transformers; a second call does nothing.

    Where torchvision is absent, already imported, or in working order, nothing is declared. What is
    returned has to live as long as the process does, and the cache sees to that.
    """
    installed = find_spec("torchvision") if "torchvision" not in sys.modules else None
    if installed is None:
        return None
    compiled = PathFinder.find_spec("_C", installed.submodule_search_locations)
    if compiled is not None and compiled.origin is not None:
        try:
            torch.ops.load_library(compiled.origin)  # type: ignore[no-untyped-call]  # it may do so again
        except OSError:
            pass
        else:
            return None
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(operator + _ARGUMENTS)  # type: ignore[no-untyped-call]
    return library
