"""``edgebench reproduce``: tables and figures of the papers, made by our commands on what is at hand."""

from __future__ import annotations

import json as json_
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    named_paths,
)
from edgebench.cli.show import open_store
from edgebench.errors import EdgebenchError, ModelError

if TYPE_CHECKING:
    from edgebench.results import Store
    from edgebench.results.report.tables import Section
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


@app.command("distilhubert-table2")
def distilhubert_table2(
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            "--corpus",
            "-c",
            help="NAME=PATH: iemocap, divided by session; ravdess, met at last (Fig. 1).",
        ),
    ] = None,
    train_only: Annotated[
        list[str] | None,
        typer.Option("--train-only", help="NAME=PATH of the second corpus, which only trains: crema_d."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for folds, models, table and figures.")
    ] = Path("edgebench-table2"),
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the recipe distilhubert_loso.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on; what is finished is kept.")] = False,
    json: JsonOption = False,
) -> None:
    """Table II and Fig. 1 of the DistilHuBERT paper, beside its figures. Needs the extra `train` and a GPU.

    Every IEMOCAP session is left out once, without and with the second corpus; then the production model is
    trained on all but 5 % of the clips, exported, quantized, and meets RAVDESS.
    """
    from rich.console import Console

    from edgebench.results.report import print_sections
    from edgebench.results.report.distilhubert import (
        figure1_sections,
        production_section,
        table2_sections,
    )
    from edgebench.training import reproduce_table2
    from edgebench.training.progress import training_bar

    with training_bar() as notify:
        found = reproduce_table2(
            corpora=named_paths(corpus or [], "--corpus"),
            train_only=named_paths(train_only or [], "--train-only"),
            output=output,
            overrides=settings or [],
            resume=resume,
            notify=notify,
        )
    if found is None:
        return  # another process than the first speaks
    if json:
        typer.echo(json_.dumps(found, allow_nan=False))
    else:
        sections = [*table2_sections(found), production_section(found["production"])]
        if "figure1" in found:
            sections += figure1_sections(found["figure1"])
        print_sections(sections, Console())
    typer.echo(f"figures and models: {output}", err=json)


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
    from edgebench.results.report.wav2small_table import table_page, table_sections

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
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Fig. 1 of the Wav2Small paper: clips on the arousal-valence plane, coloured by their true emotion."""
    from edgebench.cli.display import Display
    from edgebench.harness.reproduce_figures import emotion_plane
    from edgebench.results.report.wav2small_figures import plane_page, plane_sections

    ((name, folder),) = named_paths([corpus], "--corpus").items()
    with Display() as display:
        plane = emotion_plane(
            models, name, folder, include_seen=include_seen, cache=cache_dir(), events=display
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
    from edgebench.harness.reproduce_figures import follow_teacher
    from edgebench.results.report.wav2small_figures import follow_page, follow_sections

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
    from rich.console import Console

    from edgebench.results.report import print_sections, write_figure

    if json:
        typer.echo(json_.dumps(values, allow_nan=False))
    else:
        print_sections(sections, Console())
    paths = write_figure(page, values, open_store(store).reports_path, name)
    typer.echo(f"report: {paths['html']}", err=json)
