"""``edgebench quantize``: another file of a model, by a scheme of the table or by all of them."""

from __future__ import annotations

import json as json_
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebench.cli.options import JsonOption, ResampleOption, cache_dir, corpus_sources
from edgebench.errors import UsageError

if TYPE_CHECKING:
    from edgebench.corpora import Where
    from edgebench.training.artifacts.quantize import Speech
    from edgebench.training.artifacts.quantize_all import Attempt

ALL = "all"
SYNTHETIC = "synthetic"


def quantize(
    model: Annotated[str | None, typer.Argument(help="Packaged model or fp32 ONNX file.")] = None,
    scheme: Annotated[
        str | None, typer.Option("--scheme", "-s", help="A scheme of --list, or `all` that fit.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the schemes, and stop.")] = False,
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            "--calibration",
            help="NAME=PATH of a corpus that the model was trained on, or `synthetic`; repeat for several. "
            "Or a folder of audio files, whose clips are taken as they are.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="KEY=VALUE: a setting of the scheme; lists by commas; repeat for several."
        ),
    ] = None,
    clips_per_class: Annotated[
        int,
        typer.Option(
            "--clips-per-class",
            min=1,
            help="Calibration clips of each corpus and emotion; a scheme that needs more takes more.",
        ),
    ] = 8,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the file and manifest.")
    ] = Path(),
    resample: ResampleOption = False,
    json: JsonOption = False,
) -> None:
    """Quantize a model, check the file against its parent on this host, and write its manifest.

    With `--scheme all` one table says what each scheme made of the model, what that took, and why the others
    gave nothing. A file without a manifest gets one that claims no accuracy.
    """
    if list_:
        _list(json=json)
        return
    if model is None or scheme is None:
        raise UsageError(
            "say what to quantize and how: edgebench quantize MODEL --scheme NAME (or all); `edgebench "
            "quantize --list` shows the schemes."
        )
    from edgebench.models.quantization import parse_overrides

    speech = named_speech(calibration or [], resample=resample)
    texts = parse_overrides(set_ or [])
    if scheme == ALL:
        _all(model, speech, texts, output, clips_per_class, json=json)
    else:
        _single(model, scheme, speech, texts, output, clips_per_class, json=json)


def _single(
    model: str,
    scheme: str,
    speech: Speech,
    texts: dict[str, str],
    output: Path,
    clips_per_class: int,
    *,
    json: bool,
) -> None:
    from edgebench.models.quantization import read_overrides, scheme_named
    from edgebench.training.artifacts.quantize import quantize_model
    from edgebench.training.artifacts.quantize_all import described

    overrides = read_overrides(scheme_named(scheme), texts)
    began = time.monotonic()
    artifact = quantize_model(
        model,
        scheme=scheme,
        calibration=speech,
        output=output,
        clips_per_class=clips_per_class,
        overrides=overrides,
    )
    found = {**described(artifact), "duration_s": time.monotonic() - began}
    if json:
        typer.echo(json_.dumps(found))
        return
    typer.echo(
        f"{artifact.path}: {artifact.size_bytes:,} bytes; may differ from its parent by up to "
        f"{found['parity_max_abs']:g}"
    )


def _all(
    model: str, speech: Speech, texts: dict[str, str], output: Path, clips_per_class: int, *, json: bool
) -> None:
    from edgebench.training.artifacts.quantize_all import quantize_by_all

    attempts = quantize_by_all(
        model,
        calibration=speech,
        output=output,
        clips_per_class=clips_per_class,
        settings=texts,
        progress=lambda name: typer.echo(f"{name} ...", err=True),
    )
    if json:
        typer.echo(json_.dumps([attempt.to_json() for attempt in attempts]))
    else:
        _show(attempts)
    if all(attempt.path is None for attempt in attempts):
        raise UsageError(f"no scheme made a file of {model}; the list above says why each did not.")


def _show(attempts: list[Attempt]) -> None:
    """The files in a table, and below it, over the whole width, why a scheme made none."""
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    from edgebench.cli.console import PlainConsole

    console = PlainConsole()
    table = Table()
    table.add_column("scheme", no_wrap=True)
    for column in ("bytes", "may differ by", "seconds", "peak MB"):
        table.add_column(column, justify="right")
    for attempt in attempts:
        table.add_row(
            attempt.scheme,
            "no file" if attempt.path is None else _told(attempt.size_bytes, ","),
            _told(attempt.parity_max_abs, "g"),
            _told(attempt.duration_s, ".1f"),
            _told(attempt.peak_rss_bytes and attempt.peak_rss_bytes / 1e6, ".0f"),
        )
    console.print(table)
    made = [Path(attempt.path) for attempt in attempts if attempt.path is not None]
    if made:
        console.print(escape(f"{len(made)} files in {made[0].parent}"), soft_wrap=True)
    for attempt in attempts:
        if attempt.path is None:
            console.print(f"{attempt.scheme} made no file:")
            console.print(Padding(escape(attempt.reason or ""), (0, 0, 0, 2), expand=False))


def _told(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def named_speech(values: list[str], *, resample: bool) -> Speech:
    """What --calibration named: corpora, or one folder of audio files."""
    from edgebench.training.artifacts.quantize import Folder

    folders = _folders(values)
    if not folders:
        return calibration_corpora(values, resample=resample)
    if len(values) > 1:
        raise UsageError(
            f"--calibration {folders[0]}: a folder of audio files stands alone. Give one folder, or "
            "corpora as NAME=PATH."
        )
    into = cache_dir() / "resampled" if resample else None
    return Folder(Path(folders[0]).expanduser(), resample_into=into)


def labelled_speech(values: list[str], *, resample: bool) -> dict[str, Where | None]:
    """What --calibration named, of which accuracy is known too. Raises UsageError for a folder of clips."""
    if folders := _folders(values):
        raise UsageError(
            f"--calibration {folders[0]}: a search weighs accuracy, and clips of a folder have no labels. "
            "Give the corpora that the model was trained on, NAME=PATH."
        )
    return calibration_corpora(values, resample=resample)


def _folders(values: list[str]) -> list[str]:
    return [value for value in values if value != SYNTHETIC and _is_folder(value)]


def calibration_corpora(values: list[str], *, resample: bool) -> dict[str, Where | None]:
    """The corpora by name; None for the synthetic one, which has no folder. Raises UsageError."""
    corpora: dict[str, Where | None] = {SYNTHETIC: None} if SYNTHETIC in values else {}
    named = [value for value in values if value != SYNTHETIC]
    return corpora | corpus_sources(named, "--calibration", resample=resample)


def _is_folder(value: str) -> bool:
    """Whether a value is a path: a folder that is there, or a text that looks like a path to one."""
    return Path(value).expanduser().is_dir() or ("=" not in value and ("/" in value or value.startswith(".")))


def _list(*, json: bool) -> None:
    from edgebench.models.quantization import SCHEMES, missing_packages

    if json:
        rows = [
            {
                "name": scheme.name,
                "format": scheme.format,
                "calibrated": scheme.calibrated,
                "needs": list(scheme.needs),
                "missing": missing_packages(scheme),
                "summary": scheme.summary,
                "settings": {key: value for key, value in scheme.described().items() if key != "name"},
            }
            for scheme in SCHEMES.values()
        ]
        typer.echo(json_.dumps(rows))
        return
    from rich.markup import escape
    from rich.table import Table

    from edgebench.cli.console import PlainConsole

    table = Table()
    table.add_column("scheme", no_wrap=True)
    for column in ("format", "clips", "needs", "what it does"):
        table.add_column(column, overflow="fold")
    for scheme in SCHEMES.values():
        needs = escape(f"edgebench[{scheme.extra}]") if scheme.extra else "-"
        state = " (missing here)" if missing_packages(scheme) else ""
        clips = "yes" if scheme.calibrated else "no"
        table.add_row(scheme.name, scheme.format, clips, needs + state, scheme.summary)
    PlainConsole().print(table)
