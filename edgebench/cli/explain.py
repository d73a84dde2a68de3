"""``edgebench explain``: why an int8 file is as fast as it is on a board."""

from __future__ import annotations

import json as json_
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from edgebench.cli.options import (
    DEFAULT_STORE,
    DeviceOption,
    ForceOption,
    HostOption,
    InventoryOption,
    JsonOption,
    OfflineOption,
    ResampleOption,
    StoreOption,
    cache_dir,
)
from edgebench.cli.quantize import named_speech
from edgebench.cli.show import open_store

if TYPE_CHECKING:
    from edgebench.harness.explain.accuracy import Speech
    from edgebench.models import Artifact


def explain(
    model: Annotated[str, typer.Argument(help="Quantized model: packaged, or an ONNX file.")],
    against: Annotated[
        str | None, typer.Option("--against", help="Its float parent (default: the one its manifest names).")
    ] = None,
    device: DeviceOption = "local",
    host: HostOption = None,
    inventory: InventoryOption = None,
    force: ForceOption = False,
    input_s: Annotated[float, typer.Option("--input-s", help="Input length in seconds.", min=0.05)] = 5.0,
    threads: Annotated[int, typer.Option("--threads", help="Threads of the runtime.", min=1)] = 1,
    launches: Annotated[int, typer.Option("--launches", help="Fresh processes of each file.", min=1)] = 6,
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            "--calibration",
            help="Speech on which operators are quantized one at a time: NAME=PATH of a corpus that the "
            "model was trained on, or a folder of audio files. Without it, generated voices.",
        ),
    ] = None,
    timing_only: Annotated[
        bool, typer.Option("--timing-only", help="Leave out what each operator does to the answers.")
    ] = False,
    resample: ResampleOption = False,
    offline: OfflineOption = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Say why a quantized model is as fast as it is on a board, operator by operator."""
    from edgebench.cli.console import PlainConsole
    from edgebench.cli.display import Display
    from edgebench.devices import resolve_device
    from edgebench.harness.explain.explain import explain as explain_model
    from edgebench.harness.explain.measure import Asked, parent_of
    from edgebench.harness.explain.page import write_page
    from edgebench.harness.explain.terminal import print_explanation
    from edgebench.models import load_artifact

    results = open_store(store)
    artifact = load_artifact(model)
    asked = Asked(
        device=resolve_device(device, host=host, inventory=inventory, any_board=force),
        host=host,
        artifact=artifact,
        parent=parent_of(artifact, against),
        input_s=input_s,
        threads=threads,
        launches=launches,
        duration_s=0.25 * launches,
        offline=offline,
        cache=cache_dir(),
        command=["edgebench", *sys.argv[1:]],
    )
    speech = None if timing_only else _speech(asked.parent, calibration or [], resample=resample)
    with Display() as display:
        found = explain_model(asked, speech, results, display)
    path = write_page(found, results.reports_path)
    if json:
        typer.echo(json_.dumps(found.to_json(), allow_nan=False))
    else:
        print_explanation(found, PlainConsole())
    typer.echo(f"report: {path}", err=json)


def _speech(parent: Artifact, values: list[str], *, resample: bool) -> Speech:
    """The clips that judge and those that set ranges, prepared as the parent wants them."""
    import numpy as np

    from edgebench.corpora import EMOTIONS
    from edgebench.harness.explain.accuracy import Speech
    from edgebench.models.host import HostModel
    from edgebench.models.quantization.sensitivity import Labels
    from edgebench.training.artifacts.quantize import choose_clips

    chosen = choose_clips(parent, named_speech(values, resample=resample))
    prepared = HostModel(parent).prepared
    labels = Labels(
        emotions=np.array([EMOTIONS.index(c.emotion) if c.emotion else -1 for c in chosen.judged], np.int64),
        dimensions=np.array([c.adv or (np.nan,) * 3 for c in chosen.judged], np.float64),
    )
    return Speech(
        judged=[prepared(clip) for clip in chosen.validation_waveforms()],
        calibration=[prepared(clip) for clip in chosen.calibration_waveforms()],
        labels=labels if values else None,  # what a net makes of generated voices is no accuracy
        source=", ".join(values) if values else "generated voices, which say nothing of accuracy on speech",
    )
