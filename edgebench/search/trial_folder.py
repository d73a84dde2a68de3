"""A folder for the files of one trial, which goes with the trial, or after a kill with the next one."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_PREFIX = ".trial"


@contextmanager
def trial_folder(output: Path) -> Iterator[Path]:
    """A folder in ``output`` whose name tells the machine and the process that it belongs to.

    Folders of this machine's processes that have ended are removed first.
    """
    mine = f"{_PREFIX}-{socket.gethostname()}-"
    for left in output.glob(f"{mine}*"):
        process = left.name.removeprefix(mine).partition("-")[0]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=f"{mine}{os.getpid()}-") as folder:
        yield Path(folder)
