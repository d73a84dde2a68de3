"""``edgebench devices``: list the boards, add one to the inventory, remove what a run left on one."""

from __future__ import annotations

import json as json_
from dataclasses import asdict
from typing import Annotated

import typer

from edgebench.cli.options import DeviceOption, HostOption, InventoryOption, JsonOption

app = typer.Typer(
    invoke_without_command=True,
    help="List the boards: the inventory's, and the profiles that an ssh alias or --host reaches.",
)


@app.callback()
def devices(context: typer.Context, inventory: InventoryOption = None, json: JsonOption = False) -> None:
    """List the boards: the inventory's, and the profiles that an ssh alias or --host reaches."""
    if context.invoked_subcommand is not None:
        return
    from rich.markup import escape
    from rich.table import Table

    from edgebench.cli.console import PlainConsole
    from edgebench.devices import profiles, read_inventory

    entries = read_inventory(inventory).devices
    known = profiles()
    if json:
        typer.echo(
            json_.dumps(
                {
                    "inventory": {name: entry.model_dump(mode="json") for name, entry in entries.items()},
                    "profiles": {name: profile.model_dump(mode="json") for name, profile in known.items()},
                }
            )
        )
        return
    table = Table()
    for column in ("device", "board", "reached through"):
        table.add_column(column)
    for name, entry in entries.items():
        title = known[entry.profile].title if entry.profile in known else ""
        table.add_row(escape(name), title, f"inventory: {escape(entry.host)}")
    for name, profile in sorted(known.items(), key=lambda item: item[0] != "local"):
        how = "this machine" if name == "local" else f"ssh alias {name}, or --host"
        table.add_row(name, profile.title, how)
    PlainConsole().print(table)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call the board: --device NAME.")],
    host: HostOption = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Kind of board, where its device tree does not say.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Private key file to reach it with.")] = None,
    python: Annotated[str | None, typer.Option("--python", help="Interpreter to use on the board.")] = None,
    folder: Annotated[
        str | None, typer.Option("--folder", help="Folder on the board for edgebench's files.")
    ] = None,
    pip_index: Annotated[
        str | None, typer.Option("--pip-index", help="Address of the index that pip on the board uses.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an entry of that name.")
    ] = False,
    inventory: InventoryOption = None,
    json: JsonOption = False,
) -> None:
    """Look at a board, say what it is, and write it into the inventory."""
    from edgebench.devices.boards.entries import entry_text
    from edgebench.devices.boards.register import register

    found = register(
        name,
        host=host,
        profile=profile,
        key=key,
        python=python,
        folder=folder,
        pip_index=pip_index,
        inventory=inventory,
        replacing=replace,
    )
    facts = found.facts
    if json:
        facts_ = {**asdict(facts), "python_version": ".".join(map(str, facts.python_version))}
        entry = found.entry.model_dump(mode="json")
        typer.echo(json_.dumps({"device": name, "entry": entry, "facts": facts_}))
        return
    model = facts.device_tree_model or facts.machine
    kind = f"profile {found.profile.name}" if found.profile else "no profile fits it"
    libc = ".".join(map(str, facts.libc_version))
    version = ".".join(map(str, facts.python_version))
    typer.echo(
        f"{facts.address}, host key verified: {model}{', emulated' if facts.emulated else ''} ({kind}); "
        f"{facts.machine}, {facts.libc} {libc}, Python {version} at {facts.python}; "
        f"{facts.disk_free_bytes / 1e9:.1f} GB free at {facts.root}."
    )
    typer.echo(f"Written to {found.inventory}:\n")
    typer.echo(entry_text(name, found.entry))
    typer.echo(f"Next: edgebench doctor --device {name}")


@app.command()
def clean(
    device: DeviceOption = "local",
    host: HostOption = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Remove runs as well that were not collected yet.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be removed, and stop.")] = False,
    inventory: InventoryOption = None,
    json: JsonOption = False,
) -> None:
    """Remove what edgebench left on a board: models, speech, environments. Never while a run measures."""
    from edgebench.devices import connect, probe_board, resolve_device
    from edgebench.devices.install.cleaning import clean_board

    board = resolve_device(device, host=host, inventory=inventory)
    connection = connect(board)
    try:
        facts = probe_board(connection, python=board.python, folder=board.folder)
        found = clean_board(connection, facts, unfinished=unfinished, look=plan)
    finally:
        connection.close()
    if json:
        typer.echo(json_.dumps({"device": board.name, "root": facts.root, **found.model_dump(mode="json")}))
        return
    typer.echo(
        f"{'To be removed' if plan else 'Removed'} from {board.name}, {facts.root}: "
        f"{found.total_bytes / 1e6:.1f} MB ({found.environments / 1e6:.1f} of environments, "
        f"{found.files / 1e6:.1f} of models, speech and programs, {found.runs / 1e6:.1f} of runs)."
    )
    if found.kept:
        typer.echo(
            f"Runs that were not collected stay: {', '.join(found.kept)}. Finish one with `edgebench run "
            "--resume RUN`, or remove them with --unfinished."
        )
    if found.set:
        typer.echo("A run that broke off changed settings of the board; the next run puts them back first.")
