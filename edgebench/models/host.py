"""Running a model file on this host, by the runtimes that the boards use.

Whatever asks this host for a model's answers (scores after a training, a teacher's labels, the tolerance of
a quantized file) asks here. Figures of cost are never made here: a run measures them in a process of its
own, also on this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.agent.runtimes.base import UnfitError
from edgebench.agent.runtimes.table import make, runtimes_for
from edgebench.agent.waveform import prepare
from edgebench.errors import ModelError
from edgebench.models.artifact import Artifact, load_artifact

if TYPE_CHECKING:
    from edgebench.agent.runtimes.base import Runtime

Waveform = NDArray[np.float32]

# Runtime -> the package that holds it, for the advice where it is missing.
_PACKAGES = {"litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}
_SILENT = 4  # onnxruntime's severity "fatal": what goes wrong is raised, in our words


class HostModel:
    """A loaded file. ``names``: its outputs, in the order of the answers.

    Raises ModelError where the runtime is not installed here or refuses the file.
    """

    def __init__(self, artifact: Artifact | Path, *, threads: int = 1, runtime: str | None = None) -> None:
        self.artifact = artifact if isinstance(artifact, Artifact) else load_artifact(artifact)
        name = runtime or runtimes_for(self.artifact.format)[0]
        self._runtime = _made(name, self.artifact)
        streaming = self.artifact.streaming
        session = {} if streaming is None else {"streaming": streaming.settings()}
        try:
            self._model = self._runtime.load(str(self.artifact.path), threads=threads, session=session)
        except Exception as error:  # a runtime raises classes of its own
            raise ModelError(f"model {self.artifact.path}: {name} refuses it: {_line(error)}.") from None
        self.names: tuple[str, ...] = tuple(self._model.output_names)

    def __call__(self, waveform: Waveform) -> dict[str, NDArray[Any]]:
        """The answers to a prepared waveform (samples,), by name, as the file gives them.

        Raises ModelError where the file does not take this length, and where the runtime fails.
        """
        try:
            outputs = self._model.bind(waveform)()
        except UnfitError as error:
            raise ModelError(f"model {self.artifact.path}: {error}.") from None
        except Exception as error:
            raise ModelError(
                f"model {self.artifact.path} fails on {len(waveform)} samples in {self._runtime.name}: "
                f"{_line(error)}."
            ) from None
        return {name: np.asarray(output) for name, output in zip(self.names, outputs, strict=True)}

    def prepared(self, waveform: Waveform) -> Waveform:
        """The clip (samples,) as the manifest prepares it, by the code that does it on a board."""
        manifest = self.artifact.manifest
        if manifest is None:
            return waveform
        return prepare(waveform, list(manifest.preparation), manifest.sample_rate_hz)


def _made(name: str, artifact: Artifact) -> Runtime:
    try:
        runtime = make(name)
    except ImportError as error:
        package = _PACKAGES.get(name, name)
        raise ModelError(
            f"model {artifact.path} is run by {name}, which this environment does not have "
            f"({_line(error)}). Install it: pip install {package}."
        ) from None
    if name == "onnxruntime":
        import onnxruntime  # noqa: PLC0415

        onnxruntime.set_default_logger_severity(_SILENT)
    return runtime


def _line(error: Exception) -> str:
    """The first line of what an exception says, without a full stop."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
