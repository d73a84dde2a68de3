"""What whole vectors and kept memory give a step of Wav2Small.

``python -m benchmarks.training_step`` takes forward and backward of a batch of the recipe ``wav2small``, as
the recipe computes it, in processes of its own, and sets it beside the same with 13 channels, with memory
given back to the kernel, and with both. Processes take turns, A B B A.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.common import Spread, interleave, paired

PAIRS, STEPS, WARM_UP = 4, 8, 2
WITHOUT = {"13 channels": ["--narrow"], "memory given back": ["--give-back"]}
CASES = {**WITHOUT, "both": [option for options in WITHOUT.values() for option in options]}


def seconds(*, narrow: bool, give_back: bool) -> float:
    """Median seconds of a step in this process."""
    import torch

    from edgebench.corpora import SAMPLE_RATE_HZ
    from edgebench.models.architectures import build_architecture
    from edgebench.training.loop.memory import keep_freed_memory
    from edgebench.training.methods import load_recipe

    recipe = load_recipe("wav2small")
    if not give_back:
        keep_freed_memory()
    torch.set_num_threads(recipe.compute.threads)
    torch.manual_seed(0)
    net = build_architecture("wav2small").to(memory_format=torch.channels_last)
    if narrow:
        net.vgg7.in_whole_vectors = False
    waveforms = torch.randn(recipe.optimiser.batch, round(recipe.data.crop_s * SAMPLE_RATE_HZ))
    log_mel = net.features(waveforms).contiguous(memory_format=torch.channels_last)
    taken = []
    for _ in range(WARM_UP + STEPS):
        begun = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.compute.bf16):
            answers = net.classify(log_mel)
        sum(answer.float().square().mean() for answer in answers.values()).backward()
        net.zero_grad()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[WARM_UP:])


def launch(options: Sequence[str]) -> float:
    """:func:`seconds` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training_step", "--one", *options]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_step", description=__doc__)
    for option in ("--one", "--narrow", "--give-back"):
        parser.add_argument(option, action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(seconds(narrow=asked.narrow, give_back=asked.give_back))
        return
    table = Table(title="a step as it is / without", title_justify="left")
    for column in ("without", "ratio", "least", "largest"):
        table.add_column(column, justify="left" if column == "without" else "right")
    plain: list[float] = []
    for case, options in track(CASES.items(), "stepping", console=Console(stderr=True)):
        ours, theirs = interleave(
            lambda: launch([]), lambda o=options: launch(o), pairs=PAIRS, step=lambda: None
        )
        plain += ours
        ratio = paired(ours, theirs)
        table.add_row(case, f"{ratio.median:.2f}", f"{ratio.lo:.2f}", f"{ratio.hi:.2f}")
    table.caption = f"a step: {1000 * Spread.of(plain).median:.0f} ms; {PAIRS} pairs of processes a row"
    Console().print(table)


if __name__ == "__main__":
    main()
