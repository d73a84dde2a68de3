"""The commands, one module a group; this one only gathers them."""

from __future__ import annotations

from typing import Annotated

import typer

from edgebench import __version__
from edgebench.cli import (
    corpora,
    devices,
    doctor,
    evaluate,
    explain,
    quantize,
    reproduce,
    reproduce_distilhubert,
    run,
    search,
    show,
    train,
)

app = typer.Typer(
    name="edgebench",
    help="Which speech-emotion model, quantized how, should I ship on this board?",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"edgebench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Which speech-emotion model, quantized how, should I ship on this board?"""


app.command("run")(run.run)
app.command("report")(show.report)
app.command("compare")(show.compare)
app.command("models")(show.models)
app.command("doctor")(doctor.doctor)
app.command("evaluate")(evaluate.evaluate)
app.command("train")(train.train)
app.command("quantize")(quantize.quantize)
app.command("explain")(explain.explain)
app.command("search")(search.search)
app.add_typer(corpora.app, name="corpora")
app.add_typer(devices.app, name="devices")
reproduce.app.command("distilhubert-table2")(reproduce_distilhubert.distilhubert_table2)
app.add_typer(reproduce.app, name="reproduce")
