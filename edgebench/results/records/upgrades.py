"""The steps that bring a stored line of an older version up to date.

A step takes the line of one version as a plain dict and returns it as the next version has it. It
does not change its argument and does not set ``schema_version``.

1 -> 2
    There was one runtime. ``device.fingerprint.runtime`` became ``device.fingerprint.runtimes`` and
    ``device.environment`` became ``device.environments``, both by the runtime's name. Everything else
    that is new in version 2 has a default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# What a fingerprint of version 1 could have probed.
_ONLY_RUNTIME_OF_1 = "onnxruntime"


def header_from_1(line: dict[str, Any]) -> dict[str, Any]:
    """A header of version 1 as version 2 has it."""
    device = {key: value for key, value in line["device"].items() if key != "environment"}
    return {
        **line,
        "device": {
            **device,
            "fingerprint": with_runtimes(device["fingerprint"]),
            "environments": {_ONLY_RUNTIME_OF_1: line["device"].get("environment", {})},
        },
    }


def with_runtimes(fingerprint: dict[str, Any]) -> dict[str, Any]:
    """A fingerprint that names one runtime, as one that names any number of them."""
    rest = {key: value for key, value in fingerprint.items() if key != "runtime"}
    runtime = fingerprint.get("runtime")
    if runtime is None:
        return {"runtimes": {}, **rest}
    return {**rest, "runtimes": {runtime.get("name") or _ONLY_RUNTIME_OF_1: runtime}}


# version -> kind of line -> the step that leads to the next version; other kinds stay as they are.
UPGRADES: dict[int, dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {1: {"run": header_from_1}}
