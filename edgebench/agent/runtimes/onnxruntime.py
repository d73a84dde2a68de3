"""onnxruntime on its CPU provider, for ``.onnx`` files."""

from __future__ import annotations

import functools

from edgebench.agent.runtimes import base

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable

    from edgebench.agent.stream import Stream

# session["graph_level"] -> attribute of onnxruntime.GraphOptimizationLevel.
GRAPH_LEVELS = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}


class Runtime:
    """The library; see ``base.Runtime``."""

    name = "onnxruntime"

    def __init__(self) -> None:
        import onnxruntime

        self._ort = onnxruntime
        self.version: str = onnxruntime.__version__
        self.providers: list[str] = list(onnxruntime.get_available_providers())

    def prepare(self, path: str | None, session: dict[str, Any]) -> str | None:
        """Write the file anew where its weights are to be mapped; let freed memory go back."""
        if session.get("mapped_weights", False) and path is not None:
            from edgebench.agent.runtimes import mapped

            path = mapped.write(path, GRAPH_LEVELS[session.get("graph_level", "all")])
        if session.get("return_memory", False):
            base.return_memory()
        return path

    def load(self, path: str | None, *, threads: int, session: dict[str, Any]) -> Model:
        """Make a session. ``trace`` leaves onnxruntime's profile in the working folder."""
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = self._ort.ExecutionMode.ORT_SEQUENTIAL
        mapped = session.get("mapped_weights", False)
        # ``prepare`` has optimized the graph of mapped weights already.
        level = GRAPH_LEVELS["disabled" if mapped else session.get("graph_level", "all")]
        options.graph_optimization_level = getattr(self._ort.GraphOptimizationLevel, level)
        options.enable_cpu_mem_arena = session.get("arena", True)
        options.enable_mem_pattern = session.get("mem_pattern", True)
        if not session.get("prepacking", True):
            options.add_session_config_entry("session.disable_prepacking", "1")
        if session.get("trace", False):
            options.enable_profiling = True
            options.profile_file_prefix = "trace"
        try:
            made = self._ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        finally:
            if mapped:
                from edgebench.agent.runtimes import mapped as files

                files.remove(path)
        return Model(made, session.get("streaming"))


class Model:
    """A session with one waveform input; see ``base.Model``.

    ``streaming`` says how a model with states is fed (see ``edgebench.agent.stream``).
    """

    def __init__(self, session: Any, streaming: dict[str, Any] | None = None) -> None:
        self._session = session
        self.providers: list[str] = list(session.get_providers())
        self.output_names: list[str] = [output.name for output in session.get_outputs()]
        states = {} if streaming is None else {**streaming["state"], **streaming["constants"]}
        inputs = [one for one in session.get_inputs() if one.name not in states]
        if len(inputs) != 1:
            raise base.UnfitError("the model takes %d inputs; a waveform model takes one" % len(inputs))
        self._input = inputs[0].name
        # A name, None or a negative number stands for an axis of any length.
        shape = [axis if isinstance(axis, int) and axis >= 0 else None for axis in inputs[0].shape]
        described = "%s of shape %s" % (inputs[0].type, inputs[0].shape)
        self._shape = base.waveform_shape(self._input, shape, inputs[0].type == "tensor(float)", described)
        self._stream: Stream | None = None if streaming is None else self._streamed(streaming)

    def bind(self, waveform: Any) -> Callable[[], Any]:
        """The inference of one waveform (samples,). Raises UnfitError where a fixed axis differs."""
        if self._stream is not None:
            return self._stream.bind(waveform, lambda frame: frame.reshape(base.shape_of(frame, self._shape)))
        shape = base.shape_of(waveform, self._shape)
        # A partial is called in C: the loop pays for session.run and nothing else.
        return functools.partial(self._session.run, None, {self._input: waveform.reshape(shape)})

    def _streamed(self, settings: dict[str, Any]) -> Stream:
        import numpy

        from edgebench.agent.stream import Stream

        kinds = {one.name: (one.type, one.shape) for one in self._session.get_inputs()}
        constants = {}
        for name, value in settings["constants"].items():
            kind, shape = kinds[name]
            dtype = numpy.int32 if "int32" in kind else numpy.int64
            constants[name] = numpy.full([1] * len(shape), value, dtype)
        return Stream(self._session.run, self._input, self.output_names, {**settings, "constants": constants})

    def finish(self) -> str | None:
        """End the session's profile; the name of the trace file, if one was asked for."""
        if self._session.get_session_options().enable_profiling:
            return str(self._session.end_profiling())
        return None
