"""librosa without numba's compiler, as a reference for tests."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import pytest


@contextlib.contextmanager
def plain_librosa() -> Iterator[ModuleType]:
    """A librosa whose functions are left as they are in Python; skips the test where there is none.

    librosa has numba compile a dozen functions as it is imported, for most of a minute the first time. It is
    for tests that call few of them or none.
    """
    pytest.importorskip("librosa", reason="needs librosa: pip install edgebench[train]")
    import numba  # not at the top: every test process imports every test's support

    decorators = dict.fromkeys(("guvectorize", "jit", "stencil", "vectorize"), _as_it_is)
    before = _loaded()
    with mock.patch.multiple(numba, **decorators):
        for name in before:
            del sys.modules[name]
        import librosa

        try:
            yield librosa
        finally:
            for name in _loaded():
                del sys.modules[name]
            sys.modules.update(before)


def _loaded() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "librosa"}


def _as_it_is(*given: Any, **_options: Any) -> Any:
    """For a decorator of numba, with or without options."""
    return given[0] if len(given) == 1 and callable(given[0]) else lambda function: function
