"""``edgebench reproduce``: tables and figures of the papers, made by our commands on what is at hand."""

from __future__ import annotations

import contextlib
import json as json_
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebench.cli.options import (
    DEFAULT_STORE,
    DeviceOption,
    ForceOption,
    HostOption,
    InventoryOption,
    JsonOption,
    OfflineOption,
    ResampleOption,
    StoreOption,
    cache_dir,
    corpus_sources,
)
from edgebench.cli.show import open_store
from edgebench.errors import EdgebenchError, ModelError, UsageError

if TYPE_CHECKING:
    from edgebench.harness.untrained_nets import Bench
    from edgebench.papers.wav2small.figures import Parts
    from edgebench.papers.wav2small.table1 import CostTable
    from edgebench.results import Store
    from edgebench.results.report.tables import Section

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


RunOption = Annotated[
    str | None,
    typer.Option("--run", help="Show a stored run (an id, its beginning, or `last`); measure nothing."),
]


@app.command("wav2small-table1")
def wav2small_table1(
    device: DeviceOption = "local",
    host: HostOption = None,
    inventory: InventoryOption = None,
    force: ForceOption = False,
    models: ModelsOption = None,
    level: LevelOption = None,
    threads: ThreadsOption = None,
    launches: LaunchesOption = None,
    seed: SeedOption = 1,
    run: RunOption = None,
    offline: OfflineOption = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Table I of the Wav2Small paper: what eight models cost at 5 s, beside the paper's figures.

    The nets have random weights and are made here (extra `train`); the teacher is a file of 1.94 GB.
    """
    from edgebench.papers.wav2small.measure import TABLE_SUITE, cost_suite, reproduce_table, table_models

    results = open_store(store)
    wanted = table_models(models or [])

    def show(table: CostTable) -> None:
        _show_table(table, results, json=json)

    def stored(run_id: str) -> None:
        show(_stored_table(results, run_id, models=models))

    if run is not None:
        stored(run)
        return
    suite = cost_suite(TABLE_SUITE, level=level, threads=threads, launches=launches)
    with _bench(device, host, inventory, results, stored, offline=offline, force=force) as bench:
        table = reproduce_table(wanted, suite, bench, seed=seed)
    show(table)
    if table.run is None:
        raise ModelError("no model of the table could be measured here; the reasons stand above.")


@app.command("wav2small-fig5")
def wav2small_fig5(
    device: DeviceOption = "local",
    host: HostOption = None,
    inventory: InventoryOption = None,
    force: ForceOption = False,
    level: LevelOption = None,
    threads: ThreadsOption = None,
    launches: LaunchesOption = None,
    seed: SeedOption = 1,
    run: RunOption = None,
    offline: OfflineOption = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Fig. 5 of the Wav2Small paper: time of wav2vec2's feature extractor and of its encoder, 1 to 10 s."""
    from edgebench.papers.wav2small.measure import PARTS_SUITE, cost_suite, reproduce_parts

    results = open_store(store)

    def show(parts: Parts) -> None:
        _show_parts(parts, results, json=json)

    def stored(run_id: str) -> None:
        show(_stored_parts(results, run_id))

    if run is not None:
        stored(run)
        return
    suite = cost_suite(PARTS_SUITE, level=level, threads=threads, launches=launches)
    with _bench(device, host, inventory, results, stored, offline=offline, force=force) as bench:
        parts = reproduce_parts(suite, bench, seed=seed)
    show(parts)


@contextlib.contextmanager
def _bench(
    device: str,
    host: str | None,
    inventory: Path | None,
    results: Store,
    stored: Callable[[str], None],
    *,
    offline: bool,
    force: bool,
) -> Iterator[Bench]:
    """Where to measure. A run that breaks is shown by ``stored`` as far as it came, before its error."""
    from edgebench.cli.display import Display
    from edgebench.devices import resolve_device
    from edgebench.harness.untrained_nets import Bench

    display = Display()
    found = resolve_device(device, host=host, inventory=inventory, any_board=force)
    command = ["edgebench", *sys.argv[1:]]
    try:
        with display:
            yield Bench(found, host, offline, results, cache_dir(), command, display)
    except (EdgebenchError, KeyboardInterrupt):
        if display.run_id is not None:
            stored(display.run_id)
        raise


def _stored_table(results: Store, run: str, *, models: list[str] | None) -> CostTable:
    from edgebench.papers.wav2small.table1 import cost_table, measured_models
    from edgebench.results import summarise

    summary = summarise(results.run(run))
    known = measured_models(summary)
    if not known:
        raise _other_run(summary.run_id, "no model of the table", "wav2small-table1")
    return cost_table(summary, models or known)


def _stored_parts(results: Store, run: str) -> Parts:
    from edgebench.papers.wav2small.figures import parts_of
    from edgebench.results import summarise

    parts = parts_of(summarise(results.run(run)))
    if not parts.points:
        raise _other_run(parts.run.run_id, "not the two parts of wav2vec2", "wav2small-fig5")
    return parts


def _other_run(run_id: str, held: str, command: str) -> UsageError:
    return UsageError(f"run {run_id} holds {held}. Make one with `edgebench reproduce {command}`.")


def _show_parts(parts: Parts, results: Store, *, json: bool) -> None:
    from edgebench.papers.wav2small.figures_pages import parts_page, parts_sections

    name = f"{parts.run.run_id}-wav2small-fig5"
    _show_figure(parts.to_json(), parts_page(parts), parts_sections(parts), results.path, name, json=json)


def _show_table(table: CostTable, results: Store, *, json: bool) -> None:
    from edgebench.papers.wav2small.table1_page import table_page, table_sections

    name = f"{table.run.run_id}-wav2small-table1" if table.run else "wav2small-table1"
    _show_figure(table.to_json(), table_page(table), table_sections(table), results.path, name, json=json)


@app.command("wav2small-fig1")
def wav2small_fig1(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Packaged models or ONNX files with a manifest; each gets a plot.",
            show_default=False,
        ),
    ],
    corpus: Annotated[
        str, typer.Option("--corpus", "-c", help="NAME=PATH of a speech corpus.", show_default=False)
    ],
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Take speakers seen in training too, marked as such.")
    ] = False,
    resample: ResampleOption = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Fig. 1 of the Wav2Small paper: clips on the arousal-valence plane, coloured by their true emotion."""
    from edgebench.cli.display import Display
    from edgebench.papers.wav2small.figures_pages import plane_page, plane_sections
    from edgebench.papers.wav2small.predict import emotion_plane

    ((name, source),) = corpus_sources([corpus], "--corpus", resample=resample).items()
    with Display() as display:
        plane = emotion_plane(
            models, name, source, include_seen=include_seen, cache=cache_dir(), events=display
        )
    _show_figure(
        plane.to_json(), plane_page(plane), plane_sections(plane), store, "wav2small-fig1", json=json
    )


@app.command("wav2small-fig3")
def wav2small_fig3(
    student: Annotated[str, typer.Argument(help="Packaged model or ONNX file with a manifest.")],
    teacher: Annotated[str, typer.Argument(help="The model that it follows.")],
    recording: Annotated[
        Path, typer.Option("--recording", "-r", help="WAV or FLAC, mono, 16 kHz.", show_default=False)
    ],
    window_s: Annotated[float, typer.Option("--window-s", help="Length of a window in seconds.")] = 4.0,
    hop_s: Annotated[float, typer.Option("--hop-s", help="Seconds from one window to the next.")] = 1.0,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Fig. 3 of the Wav2Small paper: a student follows its teacher along a long recording."""
    from edgebench.cli.display import Display
    from edgebench.papers.wav2small.figures_pages import follow_page, follow_sections
    from edgebench.papers.wav2small.predict import follow_teacher

    with Display() as display:
        follow = follow_teacher(
            student, teacher, recording, window_s=window_s, hop_s=hop_s, cache=cache_dir(), events=display
        )
    _show_figure(
        follow.to_json(), follow_page(follow), follow_sections(follow), store, "wav2small-fig3", json=json
    )


def _show_figure(
    values: dict[str, Any], page: str, sections: list[Section], store: Path, name: str, *, json: bool
) -> None:
    """Print a figure's tables or JSON, and write its page."""
    from edgebench.cli.console import PlainConsole
    from edgebench.results.report import print_sections, write_figure

    if json:
        typer.echo(json_.dumps(values, allow_nan=False))
    else:
        print_sections(sections, PlainConsole())
    paths = write_figure(page, values, open_store(store).reports_path, name)
    typer.echo(f"report: {paths['html']}", err=json)
