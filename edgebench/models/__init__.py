"""Models: artifacts and their manifests without torch; architectures, export and schemes with it."""

from edgebench.models.artifact import (
    Artifact,
    default_artifacts,
    load_artifact,
    load_artifacts,
    packaged_artifacts,
)
from edgebench.models.graph.macs import RULE, MacCount, count_macs
from edgebench.models.manifest import MANIFEST_VERSION, Manifest, manifest_path, parse_manifest, read_manifest

__all__ = [
    "MANIFEST_VERSION",
    "RULE",
    "Artifact",
    "MacCount",
    "Manifest",
    "count_macs",
    "default_artifacts",
    "load_artifact",
    "load_artifacts",
    "manifest_path",
    "packaged_artifacts",
    "parse_manifest",
    "read_manifest",
]
