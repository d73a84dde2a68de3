"""What the record says of a model file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebench.results import ArtifactFacts

if TYPE_CHECKING:
    from edgebench.models import Artifact


def artifact_facts(artifact: Artifact, input_s: Sequence[float] = ()) -> ArtifactFacts:
    """The record's entry of an artifact; its MACs are counted at each of ``input_s`` seconds."""
    counts = {length: artifact.macs(length) for length in input_s}
    return ArtifactFacts(
        key=artifact.key,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        parameters=artifact.parameters,
        macs={str(length): count.value for length, count in counts.items() if count},
        macs_rule=next((count.rule for count in counts.values() if count), None),
        why_no_macs=next((why for why in map(artifact.why_no_macs, input_s) if why), None),
        streaming=artifact.streaming.settings() if artifact.streaming else None,
        manifest=artifact.manifest.model_dump(mode="json") if artifact.manifest else None,
        format=artifact.format,
        opset=artifact.opset,
        ir_version=artifact.ir_version,
    )
