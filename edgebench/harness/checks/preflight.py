"""Refuse what cannot work before anything is sent or measured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from edgebench.devices import match_profile
from edgebench.errors import BoardUnfit, ModelError

if TYPE_CHECKING:
    from edgebench.devices import BoardFacts, Device
    from edgebench.models import Artifact
    from edgebench.results import Fingerprint

# The newest opset and IR version that the releases we deploy load, measured by loading a one-node
# model of each (1.19.2, 1.23.2, 1.31.1). A release that is not listed tries to load the
# model, and its refusal becomes the verdict UNSUPPORTED.
_ONNXRUNTIME_LIMITS: Mapping[str, tuple[int, int]] = {"1.19": (21, 10), "1.23": (23, 11), "1.31": (26, 13)}


def require_profile(device: Device, compatible: Collection[str], model: str) -> None:
    """Raise BoardUnfit for a board that is not of the kind that the device's profile describes.

    ``compatible``, ``model``: what the board's device tree says, or else its architecture.
    """
    profile = device.profile
    if profile is None or device.any_board or profile.describes(compatible):
        return
    fitting = match_profile(tuple(compatible))
    advice = f"name {fitting.name}" if fitting else "name no profile in the inventory's entry"
    raise BoardUnfit(
        f"device {device.name!r} is to be a {profile.title}, whose device tree says "
        f"{' or '.join(profile.match)}; what answers is {model} "
        f"({', '.join(compatible) or 'no device tree'}). A report would bear the wrong board's name: "
        f"{advice}, or measure there all the same with --force (nothing was sent)."
    )


def require_board(device: Device, facts: BoardFacts) -> None:
    """Raise BoardUnfit where another board answers than the one that the inventory's entry names."""
    wanted, found = device.board_sha256, facts.board_sha256
    if wanted is None or found == wanted or device.any_board:
        return
    other = f"whose serial number hashes to {found[:12]}" if found else "which tells no serial number"
    raise BoardUnfit(
        f"device {device.name!r} is to be the board whose serial number hashes to {wanted[:12]} "
        f"(board_sha256 of the inventory); what answers at {facts.address} is "
        f"{facts.device_tree_model or facts.machine}, {other}. Correct the address, write the entry anew "
        f"with `edgebench devices add {device.name} --replace`, or measure there all the same with --force "
        "(nothing was sent)."
    )


def start_limit_c(device: Device, fingerprint: Fingerprint) -> float | None:
    """The temperature in degrees Celsius from which the board lowers its clock; None where nobody says.

    Of its profile, or else the trip point of its own kernel.
    """
    profile = device.profile
    if profile is None or not profile.match or not profile.describes(fingerprint.compatible):
        profile = match_profile(fingerprint.compatible)
    limit = profile.max_start_temperature_c if profile else None
    return limit if limit is not None else fingerprint.throttle_trip_c


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
