"""Commands that read: ``report``, ``compare``, ``models``, ``devices``."""

from __future__ import annotations

import json as json_
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebench.cli.options import DEFAULT_STORE, JsonOption, StoreOption
from edgebench.text import plain

if TYPE_CHECKING:
    from edgebench.results import RunSummary, Store


class Format(StrEnum):
    """How a report is written."""

    terminal = "terminal"
    markdown = "markdown"
    json = "json"
    html = "html"


def open_store(path: Path) -> Store:
    """The store, its warnings on stderr in our own words."""
    from edgebench.results import Store

    return Store(path, warn=lambda text: typer.echo(f"edgebench: warning: {plain(text)}", err=True))


def show_run(results: Store, run_id: str, *, json: bool, relative_to: str | None = None) -> RunSummary:
    """Print a run and write its reports; the paths go to stderr with ``json``.

    ``relative_to``: the artifact that fronts and ratios are relative to. Raises UsageError for one that
    the run did not measure.
    """
    from edgebench.cli.console import PlainConsole
    from edgebench.results import summarise
    from edgebench.results.report import print_run, write_reports

    summary = summarise(results.run(run_id))
    paths = write_reports(summary, results.reports_path, relative_to=relative_to)
    if json:
        typer.echo(json_.dumps(summary.to_json(), allow_nan=False))
    else:
        print_run(summary, PlainConsole(), relative_to=relative_to)
    typer.echo(f"report: {paths['html']}", err=json)
    return summary


def report(
    run: Annotated[str, typer.Argument(help="Run id, the beginning of one, or `last`.")] = "last",
    format_: Annotated[Format, typer.Option("--format", "-f", help="How to write it.")] = Format.terminal,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")
    ] = None,
    relative_to: Annotated[
        str | None,
        typer.Option(
            "--relative-to", help="Draw fronts and make ratios relative to this artifact of the run."
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Show a stored run: terminal, Markdown, JSON, or one self-contained HTML page."""
    from edgebench.results import summarise
    from edgebench.results.report import run_markdown, run_page

    results = open_store(store)
    chosen = Format.json if json else format_
    if chosen is Format.terminal and output is None:
        show_run(results, run, json=False, relative_to=relative_to)
        return
    summary = summarise(results.run(run))
    if chosen is Format.json:
        text = json_.dumps(summary.to_json(), allow_nan=False, indent=2)
    elif chosen is Format.html:
        text = run_page(summary, relative_to=relative_to)
    else:
        text = plain(run_markdown(summary, relative_to=relative_to))
    _write(text, output)


def compare(
    before: Annotated[
        str, typer.Argument(metavar="RUN_A", help="The run to compare against, or the only one.")
    ] = "last",
    after: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN_B]",
            help="The run that may have changed. Without it, the artifacts of RUN_A are compared.",
        ),
    ] = None,
    artifact: Annotated[
        list[str] | None,
        typer.Option("--artifact", help="With one run: compare this artifact only; may be given again."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", help="With one run: the reference (default: the parent, else the first artifact)."
        ),
    ] = None,
    schemes: Annotated[
        str | None,
        typer.Option(
            "--schemes",
            help="With one run: A,B,... compares the files of these schemes with those of the first.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare runs of unlike devices or suites all the same.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Markdown on stdout.")] = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Ratios with intervals: the artifacts of one run, paired by round, or two runs of like conditions."""
    from edgebench.cli.console import PlainConsole
    from edgebench.errors import UsageError
    from edgebench.results import summarise
    from edgebench.results.compare import compare as compare_runs
    from edgebench.results.compare import compare_artifacts, compare_schemes
    from edgebench.results.report import comparison_markdown, print_comparison

    results = open_store(store)
    first = summarise(results.run(before))
    if after is None and schemes:
        if artifact or against:
            raise UsageError("compare: --schemes names what is compared; leave --artifact and --against out.")
        comparison = compare_schemes(first, [name.strip() for name in schemes.split(",")])
    elif after is None:
        comparison = compare_artifacts(first, artifacts=artifact or (), against=against)
    elif artifact or against or schemes:
        raise UsageError(
            f"compare: --artifact, --against and --schemes choose among the artifacts of one run, and "
            f"two were named ({before}, {after}). Leave the options or the second run out."
        )
    else:
        comparison = compare_runs(first, summarise(results.run(after)), force=force)
    if json:
        typer.echo(json_.dumps(comparison.to_json(), allow_nan=False))
    elif markdown:
        typer.echo(plain(comparison_markdown(comparison)))
    else:
        print_comparison(comparison, PlainConsole())


def models(json: JsonOption = False) -> None:
    """List the packaged models; a run without --model measures those that are not marked."""
    from rich.table import Table

    from edgebench.cli.console import PlainConsole
    from edgebench.models import default_artifacts, load_artifact, packaged_artifacts

    by_default = default_artifacts()
    artifacts = [load_artifact(key) for key in packaged_artifacts()]
    if json:
        rows = [
            {
                "key": artifact.key,
                "sha256": artifact.sha256,
                "size_bytes": artifact.size_bytes,
                "parameters": artifact.parameters,
                "outputs": list(artifact.outputs),
                "licence": artifact.manifest.licence if artifact.manifest else None,
                "by_default": artifact.key in by_default,
            }
            for artifact in artifacts
        ]
        typer.echo(json_.dumps(rows))
        return
    table = Table()
    for column in ("model", "KB", "parameters", "MMAC at 5 s", "opset", "outputs", "licence"):
        table.add_column(column, justify="right" if column in {"KB", "parameters", "MMAC at 5 s"} else "left")
    for artifact in artifacts:
        macs = artifact.macs(5.0)
        table.add_row(
            artifact.key if artifact.key in by_default else f"{artifact.key} (where named)",
            f"{artifact.size_bytes / 1000:.0f}",
            f"{artifact.parameters:,}",
            f"{macs.value / 1e6:.0f}" if macs else "",
            str(artifact.opset),
            ", ".join(artifact.outputs),
            artifact.manifest.licence if artifact.manifest else "",
        )
    PlainConsole().print(table)


def _write(text: str, output: Path | None) -> None:
    """To a file, whole or not at all, or to stdout. Raises StoreError."""
    from edgebench.errors import StoreError
    from edgebench.files import write_text

    if output is None:
        typer.echo(text)
        return
    try:
        write_text(output, text)
    except OSError as error:
        raise StoreError(f"report {output}: cannot be written ({error.strerror or error}).") from None
    typer.echo(f"report: {output}", err=True)
