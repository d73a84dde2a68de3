"""``edgebench run``: measure, store, report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from edgebench.cli.options import (
    DEFAULT_STORE,
    ConditionOption,
    CorpusOption,
    DeviceOption,
    EnergyOption,
    ForceOption,
    HostOption,
    InventoryOption,
    JsonOption,
    MeterOption,
    OfflineOption,
    RateOption,
    ResampleOption,
    RuntimeOption,
    StoreOption,
    SustainedOption,
    cache_dir,
    conditioned,
    corpus_sources,
    known_runtimes,
    metered,
    runtime_options,
)
from edgebench.cli.show import open_store, show_run
from edgebench.errors import EdgebenchError, ModelError, UsageError

if TYPE_CHECKING:
    from edgebench.cli.display import Display
    from edgebench.corpora import Source
    from edgebench.harness.runner import Request
    from edgebench.harness.suite import Suite
    from edgebench.results import Store


def run(
    device: DeviceOption = "local",
    host: HostOption = None,
    inventory: InventoryOption = None,
    force: ForceOption = False,
    condition: ConditionOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Packaged model, ONNX or TFLite file; repeat for several."),
    ] = None,
    corpus: CorpusOption = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Score speakers seen in training too, marked as such.")
    ] = False,
    schemes: Annotated[
        str | None,
        typer.Option(
            "--schemes",
            help="Quantize each fp32 model by these schemes first, A,B,... or all, and measure all files.",
        ),
    ] = None,
    resample: ResampleOption = False,
    suite: Annotated[str, typer.Option("--suite", help="Packaged suite or TOML file.")] = "packaged",
    level: Annotated[
        str | None, typer.Option("--level", help="quick (10 s a condition), standard (60), publish (600).")
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option("--threads", help="Threads of the runtime; repeat for several.")
    ] = None,
    input_s: Annotated[
        list[float] | None, typer.Option("--input-s", help="Input length in seconds; repeat for several.")
    ] = None,
    runtime: RuntimeOption = None,
    runtime_option: Annotated[
        list[str] | None,
        typer.Option(
            "--runtime-option",
            help="KEY=VALUE, a setting of the runtime such as mem_pattern=off; repeat for several.",
        ),
    ] = None,
    energy: EnergyOption = False,
    meter: MeterOption = None,
    sustained_s: SustainedOption = None,
    rate: RateOption = None,
    launches: Annotated[int | None, typer.Option("--launches", help="Fresh processes a condition.")] = None,
    offline: OfflineOption = False,
    resume: Annotated[
        str | None,
        typer.Option("--resume", help="Finish a run that broke off: collect it, measure what is missing."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for a board on which somebody else measures.")
    ] = False,
    trace: Annotated[
        bool,
        typer.Option(
            "--trace", help="Add a launch a condition under the runtime's profiler; no figure is of it."
        ),
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would be measured, and stop.")] = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Measure models on a board: size, MACs, memory, latency, and accuracy on held-out speech."""
    from edgebench.cli.display import Display
    from edgebench.devices import resolve_device
    from edgebench.harness.resume import resume as resume_run
    from edgebench.harness.runner import Request
    from edgebench.harness.suite import load_suite
    from edgebench.models import default_artifacts

    results = open_store(store)
    display = Display()
    if resume is not None:
        with display:
            run_id = resume_run(
                resume, results, cache=cache_dir(), inventory=inventory, events=display, wait=wait
            )
        _finish(results, run_id, json=json)
        return
    sources = corpus_sources(corpus or [], "--corpus", resample=resample)
    settings = load_suite(
        suite,
        level=level,
        threads=threads or None,
        input_s=input_s or None,
        launches=launches,
        runtimes=known_runtimes(runtime) if runtime else None,
        session=runtime_options(runtime_option or []),
        corpora=list(sources) or None,
        energy=energy or meter is not None,
        sustained_s=sustained_s,
        rate_hz=rate,
    )
    models = model or default_artifacts()
    if schemes is not None:
        from edgebench.cli.family import family

        with display:
            models = family(
                model or [], schemes, sources, cache=cache_dir(), stage=display.stage, warn=display.warn
            )
    board = resolve_device(device, host=host, inventory=inventory, any_board=force)
    request = Request(
        device=metered(conditioned(board, condition), meter),
        host=host,
        suite=settings,
        models=models,
        corpora=_sources(settings, sources),
        include_seen=include_seen,
        offline=offline,
        cache=cache_dir(),
        command=["edgebench", *sys.argv[1:]],
        trace=trace,
        wait=wait,
    )
    if plan:
        _print_plan(request, results, display)
    else:
        _measure(request, results, display, json=json)


def _sources(suite: Suite, sources: Mapping[str, Source]) -> dict[str, Source | None]:
    """Where each corpus of the suite lies; None for the synthetic one. Raises UsageError."""
    from edgebench.harness.speech import SYNTHETIC

    missing = [name for name in suite.corpora if name != SYNTHETIC and name not in sources]
    if missing:
        raise UsageError(
            f"suite {suite.name!r} asks for corpus {missing[0]!r}, which edgebench cannot ship: "
            f"say where it lies with --corpus {missing[0]}=PATH."
        )
    return {name: None if name == SYNTHETIC else sources[name] for name in suite.corpora}


def _print_plan(request: Request, results: Store, display: Display) -> None:
    from edgebench.harness import precision
    from edgebench.harness.runner import prepare

    with display:
        plan = prepare(request, display).plan
    for trial in plan.trials:
        condition = trial.condition
        what = condition.corpus or f"{condition.input_s:g} s"
        typer.echo(
            f"{trial.id}  round {trial.round}  {condition.artifact}  {condition.runtime}  "
            f"{condition.scenario}  {what}  {condition.threads} thread(s)"
            f"{f'  {condition.rate_hz:g}/s' if condition.rate_hz else ''}"
            f"{'  trace' if trial.trace else ''}{'  energy' if trial.energy else ''}"
        )
    typer.echo(f"{len(plan.trials)} trials, {len(plan.conditions)} conditions, about {plan.estimate_s:.0f} s")
    scatter = precision.scatter_of(results, request.device.name)
    for sentence in precision.sentences(precision.outlooks(plan, scatter), scatter):
        typer.echo(sentence)


def _measure(request: Request, results: Store, display: Display, *, json: bool) -> None:
    from edgebench.harness.runner import run as run_suite

    try:
        with display:
            run_id = run_suite(request, results, display)
    except (EdgebenchError, KeyboardInterrupt):
        # What was measured until then is in the store: show it before the error.
        if display.run_id is not None:
            _finish(results, display.run_id, json=json)
        raise
    _finish(results, run_id, json=json)


def _finish(results: Store, run_id: str, *, json: bool) -> None:
    """Show a run that ended and write its page. Raises ModelError when no model could be run."""
    rows = [row for row in show_run(results, run_id, json=json).rows if not row.is_null]
    if rows and all(row.verdict.status == "UNSUPPORTED" for row in rows):
        raise ModelError(
            f"run {run_id}: the runtime of this board refuses every model that was asked for; "
            "the report says why."
        )
