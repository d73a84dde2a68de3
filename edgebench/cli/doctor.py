"""``edgebench doctor``: can this board be measured on?"""

from __future__ import annotations

import json as json_
from dataclasses import asdict
from typing import Annotated

import typer

from edgebench.cli.options import (
    ConditionOption,
    DeviceOption,
    HostOption,
    InventoryOption,
    JsonOption,
    OfflineOption,
    RuntimeOption,
    cache_dir,
    conditioned,
    known_runtimes,
)

_MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}


def doctor(
    device: DeviceOption = "local",
    host: HostOption = None,
    inventory: InventoryOption = None,
    runtime: RuntimeOption = None,
    offline: OfflineOption = False,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Set once what a run would set (--condition, inventory), and leave it so."
        ),
    ] = False,
    condition: ConditionOption = None,
    json: JsonOption = False,
) -> None:
    """Look a board over: reachable, fit, quiet, and what its figures will be worth."""
    from rich.markup import escape
    from rich.table import Table

    from edgebench.cli.console import PlainConsole
    from edgebench.cli.display import Display
    from edgebench.devices import resolve_device
    from edgebench.harness.checks.doctor import examine

    found = conditioned(resolve_device(device, host=host, inventory=inventory), condition)
    with Display() as display:
        checks = examine(
            found,
            runtimes=known_runtimes(runtime),
            cache=cache_dir(),
            offline=offline,
            events=display,
            fix=fix,
        )
    if json:
        typer.echo(json_.dumps({"device": found.name, "checks": [asdict(check) for check in checks]}))
    else:
        table = Table(title=f"board {found.name}", title_justify="left")
        for column in ("check", "", "found", "what to do"):
            table.add_column(column)
        for check in checks:
            table.add_row(check.name, _MARKS[check.status], escape(check.found), escape(check.advice))
        PlainConsole().print(table)
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(5)
