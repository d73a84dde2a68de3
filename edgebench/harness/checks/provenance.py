"""Which edgebench measured: the commit of the checkout it runs from, where it runs from one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]


def commit(checkout: Path = CHECKOUT) -> str | None:
    """The commit, with ``+dirty`` where tracked files differ from it; None for an installed package."""
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return None
    head = _ask(git, checkout, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = _ask(git, checkout, "status", "--porcelain", "--untracked-files=no")
    return f"{head}+dirty" if changed else head


def _ask(git: str, checkout: Path, *words: str) -> str | None:
    """What git says, or None where it will not say (another owner's checkout, a broken one)."""
    try:
        answer = subprocess.run(
            [git, "-C", str(checkout), *words], capture_output=True, text=True, check=True, timeout=10.0
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
