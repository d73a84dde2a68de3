"""``edgebench evaluate``: accuracy on speech, on this host. No cost is measured, nothing is stored."""

from __future__ import annotations

import json as json_
from typing import Annotated

import typer

from edgebench.cli.options import CorpusOption, JsonOption, ResampleOption, cache_dir, corpus_sources


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Packaged models or ONNX files with a manifest. Each is compared with its parent where that "
            "is named too, else with the first.",
            show_default=False,
        ),
    ],
    corpus: CorpusOption = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Score speakers seen in training too, marked as such.")
    ] = False,
    resample: ResampleOption = False,
    json: JsonOption = False,
) -> None:
    """Score models on held-out speech, on this host: UA, WA, F1, confusion, CCC, with 95 % intervals."""
    from edgebench.cli.console import PlainConsole
    from edgebench.cli.display import Display
    from edgebench.harness.host.evaluate import evaluate as evaluate_models
    from edgebench.results.report import print_evaluation

    sources = corpus_sources(corpus or [], "--corpus", resample=resample)
    with Display() as display:
        found = evaluate_models(models, sources, include_seen=include_seen, cache=cache_dir(), events=display)
    if json:
        typer.echo(json_.dumps(found.to_json(), allow_nan=False))
    else:
        print_evaluation(found, PlainConsole())
