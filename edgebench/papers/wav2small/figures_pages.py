"""Figures 1, 3 and 5 of the Wav2Small paper as pages and tables."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.papers.wav2small.figures import Follow, Parts, PartsPoint, Plane, PlaneModel, categories
from edgebench.papers.wav2small.table1 import PAPER
from edgebench.results.metrics.table import METRICS
from edgebench.results.report.charts import Axis, Key, Plot, Trace, figure_page
from edgebench.results.report.tables import Cell, Column, Section, figure_cell, make_section, verdict_cell
from edgebench.results.report.words import NOTHING, figure_text, share
from edgebench.results.summary import Row

_SOURCE = PAPER.removesuffix(", Table I")
# Clips of a whole corpus hide each other: the more there are, the fainter each is.
_FAINT_FROM, _FAINT, _CLEAR = 500, 0.35, 0.75
_ROOM = 0.03

Limits = tuple[float, float]

PARTS = ("feature extractor (VGG7)", "transformer encoder, 6 layers")


def plane_page(plane: Plane) -> str:
    """Figure 1: a plot for each model, all on the same axes."""
    points = [point for model in plane.models for point in model.points]
    words = categories(points)
    # The same axes for every model, or their dispersions could not be compared by eye.
    across = _limits([point.arousal for point in points])
    upwards = _limits([point.valence for point in points])
    return figure_page(
        f"Arousal and valence of {plane.corpus} by emotion",
        [f"After Fig. 1 of {_SOURCE}.", _scored(plane)],
        [_plane_plot(model, words, across, upwards) for model in plane.models],
        [Key(word, number) for number, word in enumerate(words)],
        plane_sections(plane),
        notes=["Small: one clip, at the predicted values. Large: the mean of its category."],
    )


def plane_sections(plane: Plane) -> list[Section]:
    """Where each category lies, a table for each model."""
    return [_spread(plane, model) for model in plane.models]


def _scored(plane: Plane) -> str:
    clips = len(plane.models[0].points)
    text = (
        f"{clips} clips of {plane.n_speakers} speakers, coloured by the corpus' own category; left out: "
        f"{plane.left_out['seen_speaker']} of speakers seen in training, {plane.left_out['unreadable']} "
        "unreadable."
    )
    return f"{text} SEEN IN TRAINING: {plane.seen} of these clips." if plane.seen else text


def _limits(values: Sequence[float | None]) -> tuple[float, float]:
    """The range of labels, and what predictions reach beyond it."""
    finite = [value for value in values if value is not None]
    return min([0.0, *finite]) - _ROOM, max([1.0, *finite]) + _ROOM


def _plane_plot(model: PlaneModel, words: Sequence[str], across: Limits, upwards: Limits) -> Plot:
    faint = _FAINT if len(model.points) > _FAINT_FROM else _CLEAR
    traces = [_clips(model, word, number, opacity=faint) for number, word in enumerate(words)]
    spreads = {spread.category: spread for spread in model.spreads()}
    traces += [
        Trace(
            [spreads[word].arousal],
            [spreads[word].valence],
            number,
            symbol="diamond",
            size=15,
            hover=[f"{word}: mean of {spreads[word].n} clips"],
        )
        for number, word in enumerate(words)
        if word in spreads
    ]
    return Plot(model.name, Axis("Arousal", across), Axis("Valence", upwards), traces)


def _clips(model: PlaneModel, word: str, number: int, *, opacity: float) -> Trace:
    points = [point for point in model.points if point.category == word]
    return Trace(
        [point.arousal for point in points],
        [point.valence for point in points],
        number,
        size=5,
        opacity=opacity,
        hover=[f"{point.clip}\n{word}" for point in points],
    )


def _spread(plane: Plane, model: PlaneModel) -> Section:
    columns = (
        Column("Category", right=False),
        Column("Clips"),
        Column("Arousal"),
        Column("sd"),
        Column("Valence"),
        Column("sd"),
    )
    rows = [
        (
            Cell(spread.category),
            Cell(str(spread.n)),
            *(
                Cell(NOTHING if value is None else share(value))
                for value in (spread.arousal, spread.arousal_sd, spread.valence, spread.valence_sd)
            ),
        )
        for spread in model.spreads()
    ]
    return make_section(
        f"{model.name} on {plane.corpus}: mean and deviation of its predictions",
        columns,
        rows,
        _scored(plane),
    )


def follow_page(follow: Follow) -> str:
    """Figure 3: arousal and valence of both models over the recording."""
    return figure_page(
        f"{follow.student_name} follows {follow.teacher_name}",
        [f"After Fig. 3 of {_SOURCE}.", _cut(follow)],
        [_line(follow, name) for name in follow.shared if name in ("arousal", "valence")],
        [Key(follow.student_name, 0), Key(follow.teacher_name, 1)],
        follow_sections(follow),
        notes=["A point stands at the middle of its window."],
    )


def follow_sections(follow: Follow) -> list[Section]:
    """How close the two are, dimension by dimension."""
    columns = (Column("Dimension", right=False), Column("CCC"), Column("Mean difference"), Column("Windows"))
    rows = []
    for name in follow.shared:
        ccc, difference = follow.ccc(name), follow.difference(name)
        rows.append(
            (
                Cell(name),
                figure_cell({name: ccc}, name, bounded=True),
                Cell(NOTHING if difference is None else share(difference)),
                Cell(str(len(follow.times_s))),
            )
        )
    title = f"{follow.student_name} against {follow.teacher_name} along {follow.recording}"
    return [make_section(title, columns, rows, _cut(follow), "Mean difference: of absolute values.")]


def _cut(follow: Follow) -> str:
    return (
        f"{follow.recording}, {follow.duration_s:.1f} s, cut into windows of {follow.window_s:g} s every "
        f"{follow.hop_s:g} s; each model saw each window alone."
    )


def _line(follow: Follow, name: str) -> Plot:
    ccc = figure_text(follow.ccc(name), bounded=True)
    # The teacher below: where the two agree the student's line hides it, and not the other way round.
    lines = [(follow.teacher_name, follow.teacher, 1), (follow.student_name, follow.student, 0)]
    traces = [
        Trace(
            follow.times_s,
            values[name],
            number,
            mode="lines+markers" if len(follow.times_s) < 200 else "lines",
            size=4,
            hover=[
                f"{who}\n{time:.1f} s: {NOTHING if value is None else share(value)}"
                for time, value in zip(follow.times_s, values[name], strict=True)
            ],
        )
        for who, values, number in lines
    ]
    title = f"{name.capitalize()}, CCC {ccc}"
    return Plot(title, Axis("Time (s)", (0.0, follow.duration_s)), Axis(name.capitalize()), traces, wide=True)


def parts_page(parts: Parts) -> str:
    """Figure 5: execution time of the two parts over input length."""
    device = parts.run.header.device
    return figure_page(
        f"The two parts of wav2vec2 on {device.name} ({device.fingerprint.cpu_model})",
        [f"After Fig. 5 of {_SOURCE}.", crossing_sentence(parts)],
        [
            Plot(
                "Execution time by input length",
                Axis("Input (s)", ticks=[point.input_s for point in parts.points]),
                Axis("Latency p50 (ms)", from_zero=True),
                [
                    _part([getattr(point, name) for point in parts.points], number)
                    for number, name in enumerate(("vgg7", "encoder"))
                ],
                wide=True,
            )
        ],
        [Key(name, number) for number, name in enumerate(PARTS)],
        parts_sections(parts),
        notes=["Bars: 95 % intervals over process launches."],
    )


def parts_sections(parts: Parts) -> list[Section]:
    """Time of both parts at each length, and which is the slower."""
    columns = (
        Column("Input"),
        Column("VGG7"),
        Column("Encoder"),
        Column("VGG7 / encoder"),
        Column("Verdict", right=False),
    )
    rows = [
        (
            Cell(f"{point.input_s:g} s"),
            figure_cell(point.vgg7.figures, "latency_p50_ns"),
            figure_cell(point.encoder.figures, "latency_p50_ns"),
            figure_cell({"r": point.ratio()}, "r"),
            _verdict_of_both(point),
        )
        for point in parts.points
    ]
    threads = {point.vgg7.condition.threads for point in parts.points}
    return [
        make_section(
            f"{METRICS['latency_p50_ns'].title} of the two parts of wav2vec2",
            columns,
            rows,
            crossing_sentence(parts),
            *(_work(point) for point in parts.points[-1:]),
            f"Threads: {', '.join(map(str, sorted(threads)))}; batch 1. The paper: the feature extractor is "
            "the slower from 2 s on. In brackets: 95 % intervals, over launches and, "
            "for the ratio, over the rounds of both.",
            "Random weights. The encoder's file holds projection, positional convolution and six layers, and "
            "is fed frames cut from the waveform in place of the extractor's.",
        )
    ]


def _work(point: PartsPoint) -> str:
    vgg7, encoder = (figure_text(row.figures["macs"]) for row in (point.vgg7, point.encoder))
    return f"MACs at {point.input_s:g} s: {vgg7} of the feature extractor, {encoder} of the encoder."


def _verdict_of_both(point: PartsPoint) -> Cell:
    """VALID where both are; else the verdict of each part that is not."""
    rows = {"VGG7": point.vgg7, "encoder": point.encoder}
    broken = {name: row.verdict for name, row in rows.items() if not row.verdict.valid}
    if not broken:
        return verdict_cell(point.vgg7)
    codes = "; ".join(f"{name} {', '.join(verdict.codes)}" for name, verdict in broken.items())
    status = next(iter(broken.values())).status
    return Cell(f"{status}: {codes}", status=status)


def crossing_sentence(parts: Parts) -> str:
    """From which length on the feature extractor is the slower part."""
    if parts.crossing_s is None:
        return "The feature extractor is not the slower part at the longest input measured."
    return f"The feature extractor is the slower part from {parts.crossing_s:g} s on."


def _part(rows: Sequence[Row], number: int) -> Trace:
    figures = [row.figures["latency_p50_ns"] for row in rows]

    def scaled(value: float | int | None) -> float | None:
        return None if value is None else value / 1e6

    return Trace(
        [row.condition.input_s for row in rows],
        [scaled(figure.value) for figure in figures],
        number,
        mode="lines+markers",
        size=8,
        y_lo=[scaled(figure.lo) for figure in figures],
        y_hi=[scaled(figure.hi) for figure in figures],
        hover=[
            f"{PARTS[number]}\n{row.condition.input_s:g} s: {figure_text(figure)}\n{verdict_cell(row).text}"
            for row, figure in zip(rows, figures, strict=True)
        ],
    )
