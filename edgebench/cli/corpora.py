"""``edgebench corpora``: commands about speech corpora on this machine."""

from __future__ import annotations

import json as json_
from typing import TYPE_CHECKING, Annotated

import typer

from edgebench.cli.options import JsonOption, ResampleOption, corpus_source
from edgebench.errors import CorpusError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgebench.cli.console import PlainConsole
    from edgebench.corpora import Inspection

app = typer.Typer(help="Speech corpora: what is there, and what is wrong with it.", no_args_is_help=True)

_SPEAKERS_SHOWN = 40


@app.callback()
def _group() -> None:
    """Speech corpora: what is there, and what is wrong with it."""


@app.command("check")
def check(
    path: Annotated[
        str,
        typer.Argument(
            help="A corpus' folder, a table (.csv) or an audformat folder; #table=NAME or #partition=NAME "
            "after it takes a part."
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Which corpus it is, where its layout is not recognised.")
    ] = None,
    resample: ResampleOption = False,
    json: JsonOption = False,
) -> None:
    """Read every clip of a corpus: speakers, emotions, formats, and what cannot be used and why."""
    from edgebench.cli.console import PlainConsole
    from edgebench.cli.display import Display
    from edgebench.corpora import inspect_corpus

    source = corpus_source(path, resample=resample)
    with Display() as display:
        display.stage(f"reading {path}")
        found = inspect_corpus(
            source, name=name, progress=lambda done, total: display.advance(done, total, "clips")
        )
    if json:
        typer.echo(json_.dumps(found.to_json(), allow_nan=False))
        for warning in found.warnings:
            display.warn(warning)
    else:
        _print(found, PlainConsole())
    if not found.usable:
        raise CorpusError(
            f"{found.path}: none of {found.clips} clips can be used: {len(found.unreadable)} cannot be read, "
            f"{found.to_convert} need converting, the others have no label. The warnings say what to do."
        )


def _print(found: Inspection, console: PlainConsole) -> None:
    from rich.markup import escape
    from rich.table import Table

    from edgebench.corpora import EMOTIONS

    console.print(f"[bold]{escape(found.name)}[/]  {escape(found.title)}", highlight=False)
    facts = {
        "clips": f"{found.clips}, of which usable {found.usable}; {found.duration_s / 3600:.2f} h",
        "speakers": str(len(found.speakers)),
        "emotions": _counts(found.emotions),
        "labels": _counts(found.labels),
        "sessions": _counts(found.sessions),
        "parts": _counts(found.partitions),
        "release": ", ".join(found.releases),
        "rated by people": _counts(found.rated_dimensions),
        "votes of raters": str(found.with_votes),
        "sample rates": _counts(found.sample_rates_hz, unit=" Hz"),
        "converted": str(found.converted) if found.converted is not None else "",
        "channels": _counts(found.channels, unit=" channel(s)"),
        "formats": _counts(found.formats),
        "languages": ", ".join(found.languages),
        "licence": ", ".join(found.licences),
    }
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for fact, value in facts.items():
        if value not in {"", "0"}:
            table.add_row(fact, escape(value))
    console.print(table)
    speakers = Table("speaker", "sex", "clips", "minutes", *EMOTIONS)
    for speaker, row in list(found.speakers.items())[:_SPEAKERS_SHOWN]:
        minutes = f"{row.duration_s / 60:.1f}"
        counts = [str(count or "") for count in row.emotions.values()]
        speakers.add_row(escape(speaker), row.sex or "", str(row.clips), minutes, *counts)
    console.print(speakers)
    if len(found.speakers) > _SPEAKERS_SHOWN:
        # The whole list of a corpus of a thousand speakers is for a program to read.
        console.print(f"and {len(found.speakers) - _SPEAKERS_SHOWN} more speakers: --json lists all")
    for clip, count, reason in found.unreadable_by_reason:
        more = f" ({count - 1} more clips for the same reason)" if count > 1 else ""
        line = f"[red]unreadable[/] {escape(clip)}: {escape(reason)}{more}"
        console.print(line, highlight=False, soft_wrap=True)
    for warning in found.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False, soft_wrap=True)


def _counts(counts: Mapping[str, int], *, unit: str = "") -> str:
    return ", ".join(f"{word or '(empty)'}{unit} {count}" for word, count in counts.items() if count)
