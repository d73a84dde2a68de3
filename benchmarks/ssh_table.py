"""Ways to reach a board over SSH, tried by `ssh` and by edgebench with the same files, into docs/ssh.md.

``python -m benchmarks.ssh_table`` starts an OpenSSH or dropbear server on loopback for each way, and takes
about a minute. Cases whose programs are missing keep their row and are named. `make test-board` tries the
same cases, and fails where one no longer does what the page says.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paramiko

PAGE = Path(__file__).parents[1] / "docs" / "ssh.md"
COMMAND = "python -m benchmarks.ssh_table"
HEAD = "| what lies there | reported as | `ssh` | edgebench |\n|---|---|---|---|\n"
_TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)+")
_TRIED = re.compile(r"Tried with .*\n")


def rows(cases: Sequence[Any]) -> list[str]:
    """The lines of the table: what each case expects, which the tests hold."""
    found = []
    for case in cases:
        ours = f"**{case.edgebench}**: {case.why}" if case.why else case.edgebench
        found.append(f"| {case.title} | {case.report} | {case.ssh} | {ours} |")
    return found


def rows_of_page(page: str) -> list[str]:
    """The lines of the table that a page has."""
    found = _TABLE.search(page)
    return found[0].removeprefix(HEAD).splitlines() if found else []


def main() -> None:
    """Try every case, and write the table where all did what they say. Exits with 1 where one did not."""
    argparse.ArgumentParser(prog=COMMAND, description=__doc__).parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from support.ssh_bench import UnavailableError, try_case
    from support.ssh_cases import CASES

    missing, wrong = [], []
    for case in CASES:
        with tempfile.TemporaryDirectory(prefix="ssh") as folder:
            Path(folder).chmod(0o755)
            try:
                ours, error, theirs, said = try_case(case, Path(folder))
            except UnavailableError as why:
                missing.append(f"{case.title} ({why})")
                continue
        if (theirs, ours) != (case.ssh, case.edgebench):
            wrong.append(f"{case.title}: ssh {theirs} ({said}), edgebench {ours} ({error})")
        print(f"{case.title}: ssh {theirs}, edgebench {ours}")
    if wrong:
        sys.exit("\n".join(["Nothing was written. Not as the table says:", *wrong]))
    page = PAGE.read_text(encoding="utf-8")
    page = _TABLE.sub(lambda _: HEAD + "".join(f"{row}\n" for row in rows(CASES)), page)
    tried = (
        f"Tried with {version('ssh', '-V')}, {version('dropbear', '-V')}, paramiko {paramiko.__version__}."
    )
    tried += f" Not tried there: {'; '.join(missing)}." if missing else ""
    PAGE.write_text(_TRIED.sub(lambda _: tried + "\n", page), encoding="utf-8")
    print(f"wrote {PAGE}")


def version(*argv: str) -> str:
    """What a program says of itself."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError:
        return f"no {argv[0]}"
    return (done.stderr or done.stdout).strip().partition(",")[0]


if __name__ == "__main__":
    main()
