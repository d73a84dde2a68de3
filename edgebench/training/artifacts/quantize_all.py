"""One model by every scheme: what came out, what it cost to make, and why the others gave nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgebench.errors import UsageError, nearest
from edgebench.models import load_artifact
from edgebench.models.artifact import Artifact
from edgebench.models.quantization import SCHEMES, Scheme, missing_packages, read_overrides, scheme_named
from edgebench.models.quantization.parents import refuse_parent
from edgebench.training.artifacts.apart import apart
from edgebench.training.artifacts.quantize import CLIPS_PER_CLASS, Speech, choose_clips, quantize_model


@dataclass(frozen=True)
class Attempt:
    """What one scheme made of a model: an artifact, or the reason why there is none.

    ``parity_max_abs`` is the tolerance in its manifest. ``duration_s`` and ``peak_rss_bytes`` are those of
    the process that made it; null where none was started.
    """

    scheme: str
    key: str | None = None
    path: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    parity_max_abs: float | None = None
    duration_s: float | None = None
    peak_rss_bytes: int | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The attempt as JSON values."""
        return asdict(self)


def quantize_by_all(
    model: str,
    *,
    calibration: Speech,
    output: Path,
    clips_per_class: int = CLIPS_PER_CLASS,
    schemes: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Attempt]:
    """Quantize a model by every scheme of the table, or by those named, each in a process of its own.

    A scheme that fails gives its reason and never stops the others. ``settings`` are texts by key; each goes
    to the schemes that have it. ``progress`` is called with a scheme's name before it begins. Raises
    UsageError for a setting that no scheme has, and as ``quantize_model`` does for a model or for speech
    that no scheme can take.
    """
    texts = settings or {}
    _refuse_unknown(texts)
    parent = load_artifact(model)
    refuse_parent(parent)
    if calibration:
        choose_clips(parent, calibration)  # what is wrong with the speech is said once
    attempts = []
    for scheme in [scheme_named(name) for name in schemes] or SCHEMES.values():
        reason = _unfit(scheme, parent, calibration)
        if reason is not None:
            attempts.append(Attempt(scheme.name, reason=reason))
            continue
        progress(scheme.name)
        own = {key: text for key, text in texts.items() if key in scheme.settings}
        try:
            values = read_overrides(scheme, own)
        except UsageError as error:
            attempts.append(Attempt(scheme.name, reason=str(error)))
            continue
        outcome = apart(
            _make,
            model,
            scheme=scheme.name,
            calibration=calibration,
            output=output,
            clips_per_class=clips_per_class,
            overrides=values,
        )
        attempts.append(
            Attempt(
                scheme.name,
                **(outcome.value or {}),
                duration_s=outcome.duration_s,
                peak_rss_bytes=outcome.peak_rss_bytes,
                reason=outcome.reason,
            )
        )
    return attempts


def described(artifact: Artifact) -> dict[str, Any]:
    """What is told of a new artifact: JSON values."""
    assert artifact.manifest is not None and artifact.manifest.parity is not None
    return {
        "key": artifact.key,
        "path": str(artifact.path),
        "sha256": artifact.sha256,
        "size_bytes": artifact.size_bytes,
        "parity_max_abs": artifact.manifest.parity.max_abs,
    }


def _make(model: str, **options: Any) -> dict[str, Any]:
    return described(quantize_model(model, **options))


def _refuse_unknown(texts: Mapping[str, str]) -> None:
    known = {key for scheme in SCHEMES.values() for key in scheme.settings}
    for key in texts:
        if key not in known:
            raise UsageError(f"--set {key}: no scheme has this setting: {nearest(key, known)}.")


def _unfit(scheme: Scheme, parent: Artifact, calibration: Speech) -> str | None:
    """Why a scheme is not tried at all; None where it is."""
    missing = missing_packages(scheme)
    if missing:
        return f"missing here: {', '.join(missing)} (pip install 'edgebench[{scheme.extra}]')"
    if scheme.calibrated and not calibration:
        return "needs calibration clips (--calibration)"
    if scheme.of_own_nets and parent.manifest is None:
        return "chooses by the names of nets that `edgebench train` makes; this file has no manifest"
    return None
