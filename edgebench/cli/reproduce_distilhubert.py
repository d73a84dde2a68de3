"""``edgebench reproduce distilhubert-table2``: the DistilHuBERT paper's Table II and Fig. 1."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Annotated

import typer

from edgebench.cli.options import JsonOption, ResampleOption, corpus_sources
from edgebench.cli.train import convert_first, says_how_to_go_on


def distilhubert_table2(
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            "--corpus", "-c", help="NAME=PATH: iemocap, divided by session; ravdess, for the test of Fig. 1."
        ),
    ] = None,
    train_only: Annotated[
        list[str] | None,
        typer.Option("--train-only", help="NAME=PATH of the second corpus, which only trains: crema_d."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for folds, models, table and figures.")
    ] = Path("edgebench-table2"),
    resample: ResampleOption = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the recipe distilhubert_loso.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on; what is finished is kept.")] = False,
    json: JsonOption = False,
) -> None:
    """Table II and Fig. 1 of the DistilHuBERT paper, beside its figures.

    Every IEMOCAP session is left out once, without and with the second corpus; then the production model is
    trained on all but 5 % of the clips, exported, quantized, and tested on RAVDESS. Needs the extra `train`,
    and a GPU to be done in a day.
    """
    from edgebench.cli.console import PlainConsole
    from edgebench.papers.distilhubert.page import figure1_sections, production_section, table2_sections
    from edgebench.results.report import print_sections
    from edgebench.training import require_extra
    from edgebench.training.loop.progress import training_bar

    require_extra()
    from edgebench.papers.distilhubert.reproduce import reproduce_table2

    corpora = corpus_sources(corpus or [], "--corpus", resample=resample)
    joining = corpus_sources(train_only or [], "--train-only", resample=resample)
    if resample:
        convert_first({**corpora, **joining})
    with says_how_to_go_on(resume=resume), training_bar() as notify:
        found = reproduce_table2(
            corpora=corpora,
            train_only=joining,
            output=output,
            overrides=settings or [],
            resume=resume,
            notify=notify,
        )
    if found is None:
        return  # one process of many speaks, and it is another
    if json:
        typer.echo(json_.dumps(found, allow_nan=False))
    else:
        sections = [*table2_sections(found), production_section(found["production"])]
        if "figure1" in found:
            sections += figure1_sections(found["figure1"])
        print_sections(sections, PlainConsole())
    typer.echo(f"figures and models: {output}", err=json)
