"""Real corpora of few speakers, for tests in which each further one costs time and says nothing new."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path


def few_of_emodb(root: Path, folder: Path, speakers: Collection[str]) -> Path:
    """Make ``folder`` an EmoDB that holds the clips of these speakers alone, as links, and return it."""
    (folder / "wav").mkdir(parents=True)
    for clip in (root / "wav").iterdir():
        if clip.name[:2] in speakers:
            (folder / "wav" / clip.name).symlink_to(clip)
    return folder
