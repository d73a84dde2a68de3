"""Placeholder files that a repository of large files leaves until their content is fetched.

A clone without git-lfs holds, under each large file's name, three lines of text that name the content's
hash. git-annex leaves one line with a path, or a link to a file that is not there. Both are recognised by
their first bytes, so that the message can say how to fetch the content.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgebench.errors import CorpusError

HEAD_BYTES: Final = 48
"""How many of a file's first bytes ``refuse_pointer`` needs."""

_LFS: Final = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")
_ANNEX: Final = b"/annex/objects/"


class PointerError(CorpusError):
    """A file's content is still to be fetched from where its repository keeps large files."""


def refuse_pointer(path: Path, head: bytes) -> None:
    """Raise ``PointerError`` where ``head``, the first bytes of ``path``, are a pointer's."""
    if head.startswith(_LFS):
        raise PointerError(
            f"{path}: is a git-lfs pointer, its content is not here. Run `git lfs pull` in the repository "
            "that holds it."
        )
    if head.startswith(_ANNEX):
        raise PointerError(_annex(path))


def refuse_annex_link(path: Path) -> None:
    """Raise ``PointerError`` where ``path`` is a link into git-annex whose content is not there."""
    if path.is_symlink() and not path.exists() and ".git/annex/objects/" in path.readlink().as_posix():
        raise PointerError(_annex(path))


def _annex(path: Path) -> str:
    return (
        f"{path}: is a git-annex pointer, its content is not here. Run `git annex get` in the repository "
        "that holds it."
    )
