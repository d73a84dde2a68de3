"""``edgebench search``: which scheme and settings are smallest, fastest on a board, and still right."""

from __future__ import annotations

import json as json_
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebench.cli.options import (
    DeviceOption,
    ForceOption,
    HostOption,
    InventoryOption,
    JsonOption,
    OfflineOption,
    ResampleOption,
    cache_dir,
)
from edgebench.errors import MeasurementError

LISTED = 3  # names of a list that the table shows

if TYPE_CHECKING:
    from rich.table import Table

    from edgebench.search.point import Point


def search(
    model: Annotated[str, typer.Argument(help="Packaged fp32 model or fp32 ONNX file with its manifest.")],
    device: DeviceOption = "local",
    host: HostOption = None,
    inventory: InventoryOption = None,
    force: ForceOption = False,
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            "--calibration",
            help="NAME=PATH of a corpus that the model was trained on, or `synthetic`; repeat for several.",
        ),
    ] = None,
    budget: Annotated[int, typer.Option("--budget", min=1, help="Files to try in all.")] = 60,
    schemes: Annotated[
        str | None, typer.Option("--schemes", help="Schemes to search, A,B,...; all that fit without it.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", help="Database of the study as a URL, so that several machines can share it."
        ),
    ] = None,
    study: Annotated[str | None, typer.Option("--study", help="Name of the study in the database.")] = None,
    max_loss: Annotated[
        float,
        typer.Option(
            "--max-loss", min=0.0, help="Files that lose more of UA or CCC than this are not timed."
        ),
    ] = 0.1,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the files and runs.")] = Path(
        "edgebench-search"
    ),
    offline: OfflineOption = False,
    resample: ResampleOption = False,
    json: JsonOption = False,
) -> None:
    """Search schemes and settings; started again, it goes on where it stopped."""
    from rich.live import Live

    from edgebench.cli.console import PlainConsole
    from edgebench.cli.quantize import labelled_speech
    from edgebench.devices import resolve_device
    from edgebench.search.searching import Searching

    searching = Searching.open(
        model,
        device=resolve_device(device, host=host, inventory=inventory, any_board=force),
        host=host,
        calibration=labelled_speech(calibration or [], resample=resample),
        schemes=[name.strip() for name in schemes.split(",")] if schemes else [],
        storage=storage,
        study=study,
        output=output,
        cache=cache_dir(),
        offline=offline,
        max_loss=max_loss,
    )
    console = PlainConsole(stderr=json)
    with Live(console=console, auto_refresh=False) as live:

        def told() -> None:
            live.update(_table(searching.front(), done=searching.done, budget=budget), refresh=True)

        told()
        searching.search(budget=budget, told=told)
    front = searching.keep_front()
    for text, why in searching.refused().items():
        console.print(f"no file by {_short(text)}: {why}", highlight=False, markup=False)
    if not front:
        raise MeasurementError("no settings gave a file that can be used; the lines above say why.")
    if json:
        typer.echo(json_.dumps([point.to_json() for point in front]))
    else:
        for point in front:
            typer.echo(f"{output / point.file}")


def _table(points: list[Point], *, done: int, budget: int) -> Table:
    """The front so far."""
    from rich.table import Table

    table = Table(title=f"{done} of {budget} tried; no other is smaller, faster and more accurate than:")
    for column in ("bytes", "time over fp32", "UA lost", "CCC lost", "classes changed", "settings"):
        table.add_column(column, justify="left" if column == "settings" else "right")
    for point in points:
        table.add_row(
            f"{point.size_bytes:,}",
            _with_interval(point),
            f"{point.ua_loss:+.4f}",
            f"{point.ccc_loss:+.4f}",
            str(point.changed),
            _short(point.settings),
        )
    return table


def _short(settings: str) -> str:
    """Settings whose long lists are only counted."""
    return re.sub(r"\[[^\]]*\]", lambda found: _counted(found.group()), settings)


def _counted(text: str) -> str:
    count = text.count('"') // 2
    return text if count <= LISTED else f"[{count} nodes]"


def _with_interval(point: Point) -> str:
    if point.ratio_lo is None or point.ratio_hi is None:
        return f"{point.ratio:.3f}"
    return f"{point.ratio:.3f} [{point.ratio_lo:.3f}, {point.ratio_hi:.3f}]"
