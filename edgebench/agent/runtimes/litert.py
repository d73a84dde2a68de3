"""LiteRT (the package ai-edge-litert) on the processor with XNNPACK, for ``.tflite`` files.

Such a file holds one or several signatures, each with its own input. Converters that know no free time
axis write one signature for each input length; a waveform goes to the signature of its length.
"""

from __future__ import annotations

from edgebench.agent.runtimes import base

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable


class Runtime:
    """The library; see ``base.Runtime``. It has no trace: its Python side gives no profile."""

    name = "litert"

    def __init__(self) -> None:
        import ai_edge_litert
        from ai_edge_litert import interpreter

        self._interpreter = interpreter.Interpreter
        self._resolvers = interpreter.OpResolverType
        self.version: str = ai_edge_litert.__version__
        # The interpreter applies XNNPACK by itself and has no call that says so.
        self.providers: list[str] = []

    def prepare(self, path: str | None, session: dict[str, Any]) -> str | None:
        """Let freed memory go back where ``session`` asks for it."""
        if session.get("return_memory", False):
            base.return_memory()
        return path

    def load(self, path: str | None, *, threads: int, session: dict[str, Any]) -> Model:
        """Read a file. Of the settings of ``session``, ``xnnpack`` off leaves LiteRT's own kernels."""
        options = {}
        if not session.get("xnnpack", True):
            options["experimental_op_resolver_type"] = self._resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        return Model(self._interpreter(model_path=path, num_threads=threads, **options))


class Model:
    """The signatures of a file that take one waveform; see ``base.Model``.

    ``output_names`` are those of the first signature. A waveform finds the first signature that takes
    its length.
    """

    def __init__(self, interpreter: Any) -> None:
        self.providers: list[str] = []
        keys = list(interpreter.get_signature_list())
        runners = [interpreter.get_signature_runner(key) for key in keys] or [_Unsigned(interpreter)]
        self._takes: list[tuple[str, list[int | None], Any]] = []
        for runner in runners:
            inputs = runner.get_input_details()
            if len(inputs) != 1:
                raise base.UnfitError("the model takes %d inputs; a waveform model takes one" % len(inputs))
            name, details = next(iter(inputs.items()))
            dtype, shape = details["dtype"].__name__, details["shape_signature"].tolist()
            free = [axis if axis >= 0 else None for axis in shape]
            described = "%s of shape %s" % (dtype, shape)
            self._takes.append((name, base.waveform_shape(name, free, dtype == "float32", described), runner))
        self.output_names: list[str] = list(runners[0].get_output_details())

    def bind(self, waveform: Any) -> Callable[[], Any]:
        """The inference of one waveform (samples,). Raises UnfitError where no signature takes it."""
        for name, model_shape, run in self._takes:
            try:
                shape = base.shape_of(waveform, model_shape)
            except base.UnfitError:
                continue
            feed, names = {name: waveform.reshape(shape)}, self.output_names

            def infer(run: Any = run, feed: Any = feed, names: Any = names) -> list[Any]:
                outputs = run(**feed)
                return [outputs[name] for name in names]

            return infer
        shapes = [shape for _, shape, _ in self._takes]
        raise base.UnfitError(
            "the model's inputs are fixed to %s, the waveform has %d samples" % (shapes, len(waveform))
        )

    def finish(self) -> str | None:
        """Nothing was traced."""
        return None


class _Unsigned:
    """A file without signatures, called as one with a signature is; its tensors keep their own names."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._inputs = {one["name"]: one for one in interpreter.get_input_details()}
        self._outputs = {one["name"]: one for one in interpreter.get_output_details()}

    def get_input_details(self) -> dict[str, Any]:
        return self._inputs

    def get_output_details(self) -> dict[str, Any]:
        return self._outputs

    def __call__(self, **feed: Any) -> dict[str, Any]:
        interpreter = self._interpreter
        for name, value in feed.items():
            index = self._inputs[name]["index"]
            interpreter.resize_tensor_input(index, value.shape)  # does nothing where the shape is the same
            interpreter.allocate_tensors()
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return {name: interpreter.get_tensor(one["index"]) for name, one in self._outputs.items()}
