"""``edgebench reproduce``: tables and figures of the papers, made by our commands on what is at hand."""

from __future__ import annotations

import json as json_
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from edgebench.cli.options import (
    DEFAULT_STORE,
    DeviceOption,
    HostOption,
    InventoryOption,
    JsonOption,
    OfflineOption,
    StoreOption,
    cache_dir,
)
from edgebench.cli.show import open_store
from edgebench.errors import EdgebenchError, ModelError

if TYPE_CHECKING:
    from edgebench.results import Store
    from edgebench.results.wav2small_table import CostTable

app = typer.Typer(help="Tables and figures of the papers, from our own runs.", no_args_is_help=True)

ModelsOption = Annotated[
    list[str] | None, typer.Option("--models", help="Only this model of the table; repeat for several.")
]
LevelOption = Annotated[
    str | None, typer.Option("--level", help="quick (10 s a condition), standard (60), publish (600).")
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads of the runtime.", show_default="1")
]
LaunchesOption = Annotated[int | None, typer.Option("--launches", min=1, help="Fresh processes a condition.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of the random weights.")]


@app.callback()
def _group() -> None:
    """Tables and figures of the papers, from our own runs."""


@app.command("wav2small-table1")
def wav2small_table1(
    device: DeviceOption = "local",
    host: HostOption = None,
    inventory: InventoryOption = None,
    models: ModelsOption = None,
    level: LevelOption = None,
    threads: ThreadsOption = None,
    launches: LaunchesOption = None,
    seed: SeedOption = 1,
    run: Annotated[
        str | None,
        typer.Option("--run", help="Make the table of a stored run (an id, or `last`); measure nothing."),
    ] = None,
    offline: OfflineOption = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Table I of the Wav2Small paper: what eight models cost at 5 s, beside the paper's figures.

    The models are made from their architectures with random weights (needs the extra `train`), measured by
    the agent on the device, and set beside the paper's. The teacher is a file of 1.94 GB.
    """
    from edgebench.cli.display import Display
    from edgebench.devices import resolve_device
    from edgebench.harness.reproduce_table import reproduce_table, table_models, table_suite

    results = open_store(store)
    wanted = table_models(models or [])
    if run is not None:
        _show_table(_stored(results, run, models=models), results, json=json)
        return
    display = Display()
    try:
        with display:
            table = reproduce_table(
                wanted,
                resolve_device(device, host=host, inventory=inventory),
                table_suite(level=level, threads=threads, launches=launches),
                results,
                host=host,
                offline=offline,
                cache=cache_dir(),
                command=["edgebench", *sys.argv[1:]],
                events=display,
                seed=seed,
            )
    except (EdgebenchError, KeyboardInterrupt):
        # What was measured until then is in the store: show it before the error.
        if display.run_id is not None:
            _show_table(_stored(results, display.run_id, models=wanted), results, json=json)
        raise
    _show_table(table, results, json=json)
    if table.run is None:
        raise ModelError("no model of the table could be measured here; the reasons stand above.")


def _stored(results: Store, run: str, *, models: list[str] | None) -> CostTable:
    from edgebench.results import summarise
    from edgebench.results.wav2small_table import cost_table, measured_models

    summary = summarise(results.run(run))
    known = measured_models(summary)
    if not known:
        raise ModelError(
            f"run {summary.run_id}: it holds no net of the table. Make one with "
            "`edgebench reproduce wav2small-table1`."
        )
    return cost_table(summary, models or known)


def _show_table(table: CostTable, results: Store, *, json: bool) -> None:
    from rich.console import Console

    from edgebench.results.report import print_sections, write_figure
    from edgebench.results.report.wav2small_table import table_page, table_sections

    if json:
        typer.echo(json_.dumps(table.to_json(), allow_nan=False))
    else:
        print_sections(table_sections(table), Console())
    if table.run is not None:
        name = f"{table.run.run_id}-wav2small-table1"
        paths = write_figure(table_page(table), table.to_json(), results.reports_path, name)
        typer.echo(f"report: {paths['html']}", err=json)
