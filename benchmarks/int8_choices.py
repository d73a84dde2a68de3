"""What int8 costs, by what is quantized: the table behind the scheme ``int8_static``.

``python -m benchmarks.int8_choices --corpus emodb=PATH --corpus ravdess=PATH --corpus nemo=PATH`` quantizes
the packaged fp32 Wav2Small in several ways, each calibrated as the shipped file was, and sets it beside fp32
on the real validation clips. It needs the corpora, so it stands apart from ``python -m benchmarks``.
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
from edgebench.cli.options import named_paths
from edgebench.corpora import SAMPLE_RATE_HZ, load_waveform
from edgebench.models import load_artifact
from edgebench.models.export import OUTPUT_NAMES
from edgebench.models.parity import outputs
from edgebench.models.schemes import SCHEMES, int8_static
from edgebench.training.gather import calibration_clips, gather
from edgebench.training.recipe import load_recipe

EVERYTHING = ["Conv", "MaxPool", "MatMul"]
EARLY = ["vgg7.0.*", "vgg7.1.*", "vgg7.2.*"]

# What changes against the settings of the scheme.
CHOICES: dict[str, dict[str, Any]] = {
    "all but the front end and the first convolution": {
        "operators": EVERYTHING,
        "float_nodes": ["log_mel/*", "vgg7.0.*"],
        "float_outputs": [],
        "weights": "int8",
    },
    "late convolutions and the products": {
        "operators": EVERYTHING,
        "float_nodes": ["log_mel/*", *EARLY],
        "float_outputs": [],
        "weights": "int8",
    },
    "the last convolutions and the products": {
        "operators": EVERYTHING,
        "float_nodes": ["log_mel/*", *EARLY, "vgg7.3*", "vgg7.4.*", "vgg7.5.*", "vgg7.6.*"],
        "float_outputs": [],
        "weights": "int8",
    },
    "the products alone, int8 weights": {"weights": "int8"},
    "the products alone, int8 weights of 7 bits": {"weights": "int8", "reduce_range": True},
    "the products alone, uint8 weights (the choice)": {},
}

PAIRS, WARM_UP, TIMED_S = 60, 5, 5.0
LOGITS = OUTPUT_NAMES.index("emotion_logits")

Waveform = NDArray[np.float32]


def time_ratio(model: bytes, reference: bytes) -> Spread:
    """Paired ratios of single inferences of 5 s on one thread, in turn, A B B A."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    noise = np.random.default_rng(0).uniform(-1, 1, (1, round(TIMED_S * SAMPLE_RATE_HZ))).astype("f4")
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", action="append", default=[], metavar="NAME=PATH")
    asked = parser.parse_args(arguments)
    recipe = load_recipe("wav2small")
    gathered = gather(recipe, named_paths(asked.corpus, "--corpus"))
    per_class = recipe.quantization.clips_per_class
    calibration = [
        load_waveform(clip)
        for clip in calibration_clips(gathered.train, per_class=per_class, seed=recipe.seed)
    ]
    clips: list[Waveform] = [
        load_waveform(clip) for clip in gathered.validation if clip.label_source != "synthetic"
    ]
    parent = load_artifact("wav2small.fp32").path
    reference = parent.read_bytes()
    expected = np.concatenate([found[LOGITS] for found in outputs(reference, clips)])
    table = Table(title=f"{len(clips)} validation clips, 5 s timed", title_justify="left")
    for column in ("quantized", "largest change of a logit", "classes changed", "time ratio", "bytes"):
        table.add_column(column, justify="left" if column == "quantized" else "right")
    console = Console(stderr=True)
    for name, change in track(CHOICES.items(), "quantizing", console=console):
        graph = int8_static(parent, calibration, {**SCHEMES["int8_static"].settings, **change})
        model = graph.SerializeToString()
        found = np.concatenate([answer[LOGITS] for answer in outputs(model, clips)])
        ratio = time_ratio(model, reference)
        table.add_row(
            name,
            f"{np.abs(found - expected).max():.3f}",
            str(int((found.argmax(1) != expected.argmax(1)).sum())),
            f"{ratio.median:.2f}",
            f"{len(model):,}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
