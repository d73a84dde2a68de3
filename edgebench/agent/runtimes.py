"""The table of runtimes. A new one is a class here and an entry in ``RUNTIMES``.

A runtime is made by importing it (``RUNTIMES[name]()`` may raise anything, or die), has ``name``
and ``version``, and loads models. A model names its outputs and providers, and binds a waveform
to a call without arguments that gives the outputs, one array each.
"""

from __future__ import annotations

import functools

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable

# session["graph_level"] -> attribute of onnxruntime.GraphOptimizationLevel.
GRAPH_LEVELS = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}


class UnfitError(Exception):
    """The model loads and still cannot be fed with this waveform."""


class OnnxRuntime:
    """onnxruntime on its CPU provider."""

    name = "onnxruntime"

    def __init__(self) -> None:
        import onnxruntime

        self._ort = onnxruntime
        self.version: str = onnxruntime.__version__
        self.providers: list[str] = list(onnxruntime.get_available_providers())

    def load(self, path: str | None, *, threads: int, session: dict[str, Any]) -> OnnxModel:
        """Make a session. ``profile`` leaves onnxruntime's trace in the working folder."""
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = self._ort.ExecutionMode.ORT_SEQUENTIAL
        level = GRAPH_LEVELS[session.get("graph_level", "all")]
        options.graph_optimization_level = getattr(self._ort.GraphOptimizationLevel, level)
        options.enable_cpu_mem_arena = session.get("arena", True)
        options.enable_mem_pattern = session.get("mem_pattern", True)
        if session.get("profile", False):
            options.enable_profiling = True
            options.profile_file_prefix = "profile"
        return OnnxModel(self._ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]))


class OnnxModel:
    """A session with one waveform input: (batch, samples), (samples,) or (batch, 1, samples)."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.providers: list[str] = list(session.get_providers())
        self.output_names: list[str] = [output.name for output in session.get_outputs()]
        inputs = session.get_inputs()
        if len(inputs) != 1:
            raise UnfitError("the model takes %d inputs; a waveform model takes one" % len(inputs))
        self._input = inputs[0].name
        # A name or None stands for an axis of any length.
        self._shape = [axis if isinstance(axis, int) else None for axis in inputs[0].shape]
        if inputs[0].type != "tensor(float)" or len(self._shape) not in (1, 2, 3):
            raise UnfitError(
                "input %r is %s of shape %s; a waveform is float32 (batch, samples), (samples,) or "
                "(batch, 1, samples)" % (self._input, inputs[0].type, inputs[0].shape)
            )

    def bind(self, waveform: Any) -> Callable[[], Any]:
        """The inference of one waveform (samples,). Raises UnfitError where a fixed axis differs."""
        shape = (1,) * (len(self._shape) - 1) + (len(waveform),)
        for axis, length in zip(self._shape, shape):
            if axis not in (None, length):
                raise UnfitError(f"the model's input is fixed to {self._shape}, the waveform is {shape}")
        # A partial is called in C: the loop pays for session.run and nothing else.
        return functools.partial(self._session.run, None, {self._input: waveform.reshape(shape)})

    def finish(self) -> str | None:
        """End the session's profile; the name of the trace file, if one was asked for."""
        if self._session.get_session_options().enable_profiling:
            return str(self._session.end_profiling())
        return None


class NullRuntime:
    """Does nothing, and so measures the harness: what is left is the price of the loop."""

    name = "null"
    version = "1"

    def __init__(self) -> None:
        self.providers: list[str] = []

    def load(self, path: str | None, *, threads: int, session: dict[str, Any]) -> NullModel:
        return NullModel()


class NullModel:
    """Takes any waveform and always gives the same."""

    def __init__(self) -> None:
        self.providers: list[str] = []
        self.output_names = ["constant"]

    def bind(self, waveform: Any) -> Callable[[], Any]:
        import numpy

        # Looking up a key that is there is about the cheapest call in C that returns an object.
        return functools.partial({0: [numpy.zeros((1, 1), numpy.float32)]}.get, 0)

    def finish(self) -> str | None:
        return None


RUNTIMES: dict[str, type[OnnxRuntime] | type[NullRuntime]] = {
    "onnxruntime": OnnxRuntime,
    "null": NullRuntime,
}
