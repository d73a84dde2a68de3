"""``edgebench explain``: why an int8 file is as fast as it is on a board."""

from __future__ import annotations

import json as json_
import sys
from typing import Annotated

import typer

from edgebench.cli.options import (
    DEFAULT_STORE,
    DeviceOption,
    HostOption,
    InventoryOption,
    JsonOption,
    OfflineOption,
    StoreOption,
    cache_dir,
)
from edgebench.cli.show import open_store


def explain(
    model: Annotated[str, typer.Argument(help="Quantized model: packaged, or an ONNX file.")],
    against: Annotated[
        str | None, typer.Option("--against", help="Its float parent (default: the one its manifest names).")
    ] = None,
    device: DeviceOption = "local",
    host: HostOption = None,
    inventory: InventoryOption = None,
    input_s: Annotated[float, typer.Option("--input-s", help="Input length in seconds.", min=0.05)] = 5.0,
    threads: Annotated[int, typer.Option("--threads", help="Threads of the runtime.", min=1)] = 1,
    launches: Annotated[int, typer.Option("--launches", help="Fresh processes of each file.", min=1)] = 6,
    offline: OfflineOption = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Say why a quantized model is as fast as it is on a board, operator by operator."""
    from rich.console import Console

    from edgebench.cli.display import Display
    from edgebench.devices import resolve_device
    from edgebench.harness.explain.explain import explain as explain_model
    from edgebench.harness.explain.measure import Asked, parent_of
    from edgebench.harness.explain.terminal import print_explanation
    from edgebench.models import load_artifact

    artifact = load_artifact(model)
    asked = Asked(
        device=resolve_device(device, host=host, inventory=inventory),
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
    with Display() as display:
        found = explain_model(asked, open_store(store), display)
    if json:
        typer.echo(json_.dumps(found.to_json(), allow_nan=False))
    else:
        print_explanation(found, Console())
