"""What the host says: the fp32 parent's outputs on the host, against which a board is checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import DeviceBusy, DeviceError
from edgebench.harness.events import Events
from edgebench.harness.host.predict import predict_on_host
from edgebench.harness.plan import PackedCorpus
from edgebench.harness.suite import Suite

if TYPE_CHECKING:
    from edgebench.models import Artifact


def reference_artifacts(artifacts: Sequence[Artifact], known: Sequence[Artifact]) -> list[Artifact]:
    """The artifacts to predict with on the host: each one's fp32 parent, or itself without one.

    ``known`` are further artifacts, such as the packaged ones, in which a parent may be found.
    """
    by_hash = {artifact.sha256: artifact for artifact in (*known, *artifacts)}
    wanted = (a.manifest.parent if a.manifest and a.manifest.parent else a.sha256 for a in artifacts)
    chosen = {sha256: by_hash[sha256] for sha256 in wanted if sha256 in by_hash}
    # A parent that is not at hand leaves its child to be compared with itself: same file, two machines.
    for artifact in artifacts:
        parent = artifact.manifest.parent if artifact.manifest else None
        if parent and parent not in by_hash:
            chosen[artifact.sha256] = artifact
    return list(chosen.values())


def prepared_otherwise(
    artifacts: Sequence[Artifact], references: Sequence[Artifact]
) -> list[tuple[Artifact, Artifact]]:
    """(artifact, its reference) where the two prepare clips differently.

    A file without a free length repeats a clip up to the next length that it takes. Its parent is given
    the same clip to compare it with.
    """
    by_hash = {reference.sha256: reference for reference in references}
    found = []
    for artifact in artifacts:
        own = artifact.manifest
        parent = by_hash.get(own.parent) if own and own.parent else None
        if own and parent and parent.manifest and parent.manifest.preparation != own.preparation:
            found.append((artifact, parent))
    return found


def host_reference(
    suite: Suite,
    artifacts: Sequence[Artifact],
    references: Sequence[Artifact],
    corpora: Sequence[PackedCorpus],
    *,
    cache: Path,
    events: Events,
) -> list[dict[str, Any]]:
    """The ``reference`` lines of a run (see ``predict_on_host``), before any board is touched.

    ``references``: what :func:`reference_artifacts` gives for ``artifacts``. Those whose runtime
    cannot be had on the host have none: that is said, and the run goes on.
    """
    events.stage("predicting on this host, for parity")
    lines: list[dict[str, Any]] = []
    clips_alone = suite.model_copy(update={"scenarios": ("offline",)})
    formats = dict.fromkeys(artifact.format for artifact in references)
    jobs: list[tuple[Suite, list[Artifact], Artifact | None]] = [
        (suite, [artifact for artifact in references if artifact.format == name], None) for name in formats
    ]
    if corpora and "offline" in suite.scenarios:
        pairs = prepared_otherwise(artifacts, references)
        jobs += [(clips_alone, [parent], artifact) for artifact, parent in pairs]
    for asked, group, prepared_as in jobs:
        try:
            lines += predict_on_host(
                asked, group, corpora, cache=cache, events=events, prepared_as=prepared_as
            )
        except DeviceBusy:
            raise
        except DeviceError as error:
            names = ", ".join(artifact.key for artifact in group)
            events.warn(f"no parity for {names}: {error}")
    return lines
