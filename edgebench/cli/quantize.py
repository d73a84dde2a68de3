"""``edgebench quantize``: another file of a model, by a scheme of the table."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebench.cli.options import JsonOption, ResampleOption, corpus_sources
from edgebench.errors import UsageError

if TYPE_CHECKING:
    from edgebench.corpora import Source


def quantize(
    model: Annotated[
        str | None, typer.Argument(help="Packaged model or fp32 ONNX file with its manifest.")
    ] = None,
    scheme: Annotated[str | None, typer.Option("--scheme", "-s", help="A scheme of --list.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the schemes, and stop.")] = False,
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            "--calibration",
            help="NAME=PATH of a corpus that the model was trained on, or `synthetic`; repeat for several.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the file and manifest.")
    ] = Path(),
    resample: ResampleOption = False,
    json: JsonOption = False,
) -> None:
    """Quantize a model, check the file against its parent on this host, and write its manifest."""
    if list_:
        _list(json=json)
        return
    if model is None or scheme is None:
        raise UsageError(
            "say what to quantize and how: edgebench quantize MODEL --scheme NAME; `edgebench quantize "
            "--list` shows the schemes."
        )
    from edgebench.training.artifacts.quantize import quantize_model

    corpora = _corpora(calibration or [], resample=resample)
    artifact = quantize_model(model, scheme=scheme, calibration=corpora, output=output)
    assert artifact.manifest is not None and artifact.manifest.parity is not None
    found = {
        "key": artifact.key,
        "path": str(artifact.path),
        "sha256": artifact.sha256,
        "size_bytes": artifact.size_bytes,
        "parity_max_abs": artifact.manifest.parity.max_abs,
    }
    if json:
        typer.echo(json_.dumps(found))
    else:
        typer.echo(
            f"{artifact.path}: {artifact.size_bytes:,} bytes; may differ from its parent by up to "
            f"{artifact.manifest.parity.max_abs:g}"
        )


def _corpora(values: list[str], *, resample: bool) -> dict[str, Source | None]:
    """The corpora by name; None for the synthetic one, which has no folder."""
    generated: dict[str, Source | None] = {"synthetic": None} if "synthetic" in values else {}
    named = [value for value in values if value != "synthetic"]
    return generated | corpus_sources(named, "--calibration", resample=resample)


def _list(*, json: bool) -> None:
    from edgebench.models.quantization import SCHEMES

    if json:
        rows = [
            {
                "name": scheme.name,
                "format": scheme.format,
                "calibrated": scheme.calibrated,
                "needs": list(scheme.needs),
                "summary": scheme.summary,
            }
            for scheme in SCHEMES.values()
        ]
        typer.echo(json_.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("scheme", "format", "calibrated", "what it does"):
        table.add_column(column)
    for scheme in SCHEMES.values():
        table.add_row(scheme.name, scheme.format, "yes" if scheme.calibrated else "no", scheme.summary)
    Console().print(table)
