"""The first process of a board of the campaign: mounts what the board shows, serves SSH, reaps processes.

Run by ``unshare`` in namespaces of its own, with the path of a JSON file that ``board.py`` writes.
It says ``mounted`` and then obeys lines of its standard input: ``serve`` starts the SSH server.
When that input ends it ends, and the kernel ends every other process of the board with it.
"""

from __future__ import annotations

import json
import os
import pathlib
import select
import socket
import subprocess
import sys


def mount(*words: str) -> None:
    """Mount, or say why not and die."""
    subprocess.run(["mount", *words], check=True)


def lay_out(config: dict[str, str]) -> None:
    """The board's own /run, /dev/shm, /sys, accounts, programs and boot id, over this machine's."""
    for folder in ("/run", "/dev/shm"):
        mount("-t", "tmpfs", "-o", "mode=1777", "board", folder)
    for folder, mode in (("/run/lock", 0o1777), ("/run/sshd", 0o755)):
        pathlib.Path(folder).mkdir()
        pathlib.Path(folder).chmod(mode)
    tree = pathlib.Path(config["tree"])
    cgroups = tree / "sys/fs/cgroup"
    cgroups.mkdir(parents=True, exist_ok=True)
    mount("--rbind", "/sys/fs/cgroup", str(cgroups))
    mount("--rbind", str(tree / "sys"), "/sys")
    mount("--bind", config["boot_id"], "/proc/sys/kernel/random/boot_id")
    for path in (tree / "etc").iterdir():
        if pathlib.Path("/etc", path.name).exists():
            mount("--bind", str(path), "/etc/" + path.name)
    for folder in ("/usr/bin", "/usr/sbin"):
        if (own := tree / folder[1:]).is_dir():
            mount("-t", "overlay", "-o", f"lowerdir={own}:{folder}", "board", folder)
    socket.sethostname("board")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def main() -> None:
    """Never returns while the driver lives."""
    config = json.loads(pathlib.Path(sys.argv[1]).read_text())
    lay_out(config)
    print("mounted", flush=True)
    while True:
        if select.select([0], [], [], 0.1)[0]:
            line = os.read(0, 4096)
            if not line:
                return
            log = os.open(config["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            subprocess.Popen(config["server"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            os.close(log)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


if __name__ == "__main__":
    main()
