"""Refuse what cannot work before anything is sent or measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from edgebench.errors import BoardUnfit, ModelError

if TYPE_CHECKING:
    from edgebench.models import Artifact

# The newest opset and IR version that the releases we deploy load, measured by loading a one-node
# model of each (1.19.2, 1.23.2, 1.31.1). A release that is not listed tries to load the
# model, and its refusal becomes the verdict UNSUPPORTED.
_ONNXRUNTIME_LIMITS: Mapping[str, tuple[int, int]] = {"1.19": (21, 10), "1.23": (23, 11), "1.31": (26, 13)}


def usable_runtimes(fingerprint: Mapping[str, Any], device: str) -> list[str]:
    """The runtimes that can be imported on the board. Raises BoardUnfit when there is none."""
    runtimes = fingerprint["runtimes"]
    usable = [name for name, facts in runtimes.items() if not facts["error"]]
    if usable:
        return usable
    if not runtimes:
        raise BoardUnfit(f"board {device!r}: the agent was asked for runtimes and told of none.")
    name, facts = next(iter(runtimes.items()))
    error = facts["error"]
    if error.get("signal") == 4:
        raise BoardUnfit(
            f"board {device!r}: importing {name} {facts.get('version') or ''} dies of SIGILL: "
            f"this build uses instructions that {fingerprint.get('cpu_model') or 'the processor'} lacks "
            "(onnxruntime 1.21.0 does so on a Raspberry Pi 4). Install another release there."
        )
    raise BoardUnfit(f"board {device!r}: {name} does not import there: {error['message']}")


def check_models(artifacts: Iterable[Artifact], fingerprint: Mapping[str, Any], device: str) -> None:
    """Raise ModelError for a model that the board's runtime is known to refuse."""
    runtime = fingerprint["runtimes"].get("onnxruntime", {})
    version = str(runtime.get("version") or "")
    limits = _ONNXRUNTIME_LIMITS.get(".".join(version.split(".")[:2]))
    if limits is None:
        return
    for artifact in artifacts:
        if artifact.opset is None or artifact.ir_version is None:  # another format
            continue
        if artifact.opset > limits[0] or artifact.ir_version > limits[1]:
            raise ModelError(
                f"model {artifact.key}: opset {artifact.opset}, IR {artifact.ir_version}; onnxruntime "
                f"{version} on board {device!r} loads opset {limits[0]} and IR {limits[1]} at most. "
                f"Export it again with opset {limits[0]} or lower (nothing was sent)."
            )
