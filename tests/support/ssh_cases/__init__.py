"""Ways to reach a board over SSH, each as `ssh` and edgebench take it: the table of docs/ssh.md.

``report`` of a case names the public report of somebody whom another program failed (owner or project,
#number).
"""

from __future__ import annotations

from support.ssh_cases import boards, config, host_keys, sign_in, table

PARTS = (config, sign_in, host_keys, boards)  # in the order of the page
CASES = [found for part in PARTS for found in table.CASES if found.prepare.__module__ == part.__name__]
