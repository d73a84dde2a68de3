"""What int8 costs, by what is quantized: the tables behind the schemes, in docs/results.md.

``python -m benchmarks.int8_choices MODEL --corpus emodb=PATH --corpus ravdess=PATH --corpus nemo=PATH``
quantizes an fp32 file in several ways, each calibrated as ``edgebench train`` does, and sets it beside fp32
on the real validation clips and on white noise at full scale, of which calibration clips hold nothing. MODEL
is a file or the key of a packaged one; without it the packaged Wav2Small. ``distilhubert`` stands for one of
random weights, of which only size and time are given. It needs the corpora, so it stands apart from
``python -m benchmarks``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.common import Spread, paired
from edgebench.cli.options import cache_dir, corpus_sources
from edgebench.corpora import SAMPLE_RATE_HZ, load_waveform
from edgebench.models import Artifact, load_artifact
from edgebench.models import outputs as names
from edgebench.models.graph.parity import outputs
from edgebench.models.making.untrained import UntrainedNet
from edgebench.models.quantization import SCHEMES
from edgebench.models.quantization.static_qdq import static_qdq
from edgebench.training.clips.gather import calibration_clips, gather
from edgebench.training.methods import load_recipe

EVERYTHING = ["MatMul", "Gemm", "Conv", "MaxPool"]
SIGNED = {"weights": "int8"}
FRONT_END, HEADS = "log_mel/*", ["adv/*", "emotion/*"]
VGG7_EARLY = ["vgg7.0.*", "vgg7.1.*", "vgg7.2.*"]
VGG7_MIDDLE = ["vgg7.3*", "vgg7.4.*", "vgg7.5.*", "vgg7.6.*"]
# The second convolution of a bottleneck, and the first of the one that does not expand.
UNFIT = ["trunk.0.*", "trunk.*.block.1.1/*", "trunk.1.block.0.1/*"]
FIRST_TEN = ["trunk.[0-9].*", "trunk.10.*"]

Changes = dict[str, dict[str, Any]]

# By architecture: its scheme, and what each row changes in that scheme's settings.
CHOICES: dict[str, tuple[str, Changes]] = {
    "wav2small": (
        "int8_static",
        {
            "all but the front end and the first convolution": SIGNED
            | {"operators": EVERYTHING, "float_nodes": [FRONT_END, "vgg7.0.*"], "float_outputs": []},
            "late convolutions and the products": SIGNED
            | {"operators": EVERYTHING, "float_nodes": [FRONT_END, *VGG7_EARLY], "float_outputs": []},
            "the last convolutions and the products": SIGNED
            | {
                "operators": EVERYTHING,
                "float_nodes": [FRONT_END, *VGG7_EARLY, *VGG7_MIDDLE],
                "float_outputs": [],
            },
            "the products alone, int8 weights": SIGNED,
            "the products alone, int8 weights of 7 bits": SIGNED | {"reduce_range": True},
            "the products alone, uint8 weights (the choice)": {},
        },
    ),
    "mobilenetv3_audioset": (
        "int8_static_dense",
        {
            "all but the front end and the heads": {"operators": EVERYTHING},
            "without the depthwise and the first convolution": {
                "operators": EVERYTHING,
                "float_nodes": [FRONT_END, *HEADS, *UNFIT],
            },
            "of these, the last five blocks": {
                "operators": EVERYTHING,
                "float_nodes": [FRONT_END, *HEADS, *UNFIT, *FIRST_TEN],
            },
            "fully connected layers (the choice)": {},
            "of these, the last five blocks and the embedding": {
                "float_nodes": [FRONT_END, *HEADS, *FIRST_TEN]
            },
            "the embedding alone": {"float_nodes": [FRONT_END, *HEADS, "trunk.*"]},
        },
    ),
    "distilhubert": (
        "int8_static_conv",
        {
            "fully connected layers and attention's products": {"operators": ["MatMul", "Gemm"]},
            "convolutions too, but the first, their results in float": {
                "float_outputs": ["MatMul", "Gemm", "Conv"]
            },
            "their results in bytes (the choice)": {},
        },
    ),
}

UNTRAINED = {"distilhubert": UntrainedNet("distilhubert", seed=1, size_bytes=94_000_000)}
PAIRS, WARM_UP, TIMED_S = 60, 5, 5.0
LOGITS = names.HEADS.index(names.EMOTION_LOGITS)

Waveform = NDArray[np.float32]


def time_ratio(model: bytes, reference: bytes) -> Spread:
    """Paired ratios of single inferences of 5 s on one thread, in turn, A B B A."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    noise = white_noise()[np.newaxis, :]
    sessions = [
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        for data in (model, reference)
    ]
    taken: tuple[list[float], list[float]] = ([], [])
    for pair in range(WARM_UP + PAIRS):
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            begun = time.perf_counter_ns()
            sessions[side].run(None, {"waveform": noise})
            if pair >= WARM_UP:
                taken[side].append(float(time.perf_counter_ns() - begun))
    return paired(taken[0], taken[1])


def white_noise() -> Waveform:
    """(samples,) in [-1, 1]: the timed sound, and one that no calibration clip resembles."""
    noise = np.random.default_rng(0).uniform(-1, 1, round(TIMED_S * SAMPLE_RATE_HZ))
    return noise.astype(np.float32)


def logits(model: bytes, sounds: Sequence[Waveform]) -> NDArray[np.float32]:
    """(sounds, classes)."""
    return np.concatenate([found[LOGITS] for found in outputs(model, sounds)])


def moved(expected: NDArray[np.float32], found: NDArray[np.float32]) -> tuple[str, str, str]:
    """The largest change of a logit on the clips and on the noise, which is last; clips of another class."""
    change = np.abs(found - expected).max(axis=1)
    classes = int((found.argmax(1) != expected.argmax(1))[:-1].sum())
    return f"{change[:-1].max():.3f}", f"{change[-1]:.3f}", str(classes)


def parent_named(model: str) -> Artifact:
    """A file, a packaged model, or a net of random weights of that size."""
    if model in UNTRAINED:
        return load_artifact(UNTRAINED[model].make(cache_dir()))
    return load_artifact(model)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="wav2small.fp32", metavar="MODEL")
    parser.add_argument("--corpus", action="append", default=[], metavar="NAME=PATH")
    asked = parser.parse_args(arguments)
    parent = parent_named(asked.model)
    architecture = parent.key.split(".")[0]
    if architecture not in CHOICES:
        raise SystemExit(f"{asked.model} is no fp32 file of {' or '.join(CHOICES)}.")
    scheme, choices = CHOICES[architecture]
    recipe = load_recipe("wav2small")
    gathered = gather(recipe, corpus_sources(asked.corpus, "--corpus"))
    per_class = recipe.quantization.clips_per_class
    calibration = [
        load_waveform(clip)
        for clip in calibration_clips(gathered.train, per_class=per_class, seed=recipe.seed)
    ]
    clips: list[Waveform] = [
        load_waveform(clip) for clip in gathered.validation if clip.label_source != "synthetic"
    ]
    reference = parent.path.read_bytes()
    learnt = asked.model not in UNTRAINED
    sounds = [*clips, white_noise()]
    expected = logits(reference, sounds) if learnt else None
    compared = f"{len(clips)} validation clips, " if learnt else ""
    table = Table(title=f"{parent.key}: {compared}5 s timed", title_justify="left")
    answers = ("change of a logit", "on noise", "classes changed") if learnt else ()
    for column in ("quantized", *answers, "time ratio", "bytes"):
        table.add_column(column, justify="left" if column == "quantized" else "right")
    console = Console(stderr=True)
    for name, change in track(choices.items(), "quantizing", console=console):
        model = static_qdq(parent.path, calibration, {**SCHEMES[scheme].settings, **change})
        told = () if expected is None else moved(expected, logits(model, sounds))
        table.add_row(name, *told, f"{time_ratio(model, reference).median:.2f}", f"{len(model):,}")
    table.add_row("nothing (fp32)", *["0"] * len(answers), "1", f"{len(reference):,}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
