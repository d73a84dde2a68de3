"""Parts of real corpora, for tests in which each further clip costs time and says nothing new."""

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


def every_second_clip(root: Path, folder: Path) -> Path:
    """Make ``folder`` the corpus under ``root`` with every second clip of it, as links, and return it.

    A table ``data.tsv`` (nEMO's) keeps the rows of these clips.
    """
    clips = sorted(root.rglob("*.flac"))[::2]
    for clip in clips:
        link = folder / clip.relative_to(root)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(clip)
    if (table := root / "data.tsv").is_file():
        header, *rows = table.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = {clip.stem for clip in clips}
        chosen = [row for row in rows if Path(row.partition("\t")[0]).stem in kept]
        (folder / "data.tsv").write_text("".join([header, *chosen]), encoding="utf-8")
    return folder
