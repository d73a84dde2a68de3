"""What a runtime offers to a trial. Nothing here is needed to run one but ``UnfitError``.

Importing the module of a runtime costs nothing; making its ``Runtime`` imports the library, which may
raise anything, or kill the process.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable, Protocol

    class Runtime(Protocol):
        """A library that runs model files. ``providers`` are its back ends on this machine."""

        name: str
        version: str
        providers: list[str]

        def prepare(self, path: str | None, session: dict[str, Any]) -> str | None:
            """Do what ``session`` asks for before loading, which no deployment does at every start.

            Gives the path of the file to load. Called before memory and time of the model are counted.
            """

        def load(self, path: str | None, *, threads: int, session: dict[str, Any]) -> Model:
            """Load a file. ``session``: settings of the suite; a runtime takes those that it knows.

            Raises UnfitError for a file that takes no waveform, and what the library raises.
            """

    class Model(Protocol):
        """A loaded file that takes one waveform."""

        providers: list[str]
        output_names: list[str]

        def bind(self, waveform: Any) -> Callable[[], Any]:
            """The inference of one waveform, float32 (samples,): a call that gives the outputs in order.

            Raises UnfitError where the file does not take a waveform of this length.
            """

        def finish(self) -> str | None:
            """End the trace, where one was asked for; the name of its file in the working folder."""


# What a suite may set of a runtime (``[session]``), and the value of each that it leaves out.
SESSION = {
    "graph_level": "all",  # onnxruntime's optimizations of the graph
    "arena": True,  # onnxruntime keeps memory that it has used
    "mem_pattern": True,  # onnxruntime plans one block for all values of an input length
    "prepacking": True,  # onnxruntime keeps weights a second time, in the order of its kernels
    "mapped_weights": False,  # onnxruntime reads large weights from a mapped file
    "return_memory": False,  # freed blocks of 64 KiB and more go back to the system at once
    "xnnpack": True,  # LiteRT computes with XNNPACK
}


class UnfitError(Exception):
    """The file loads and still cannot be fed with this waveform."""


def waveform_shape(name: str, shape: list[int | None], is_float32: bool, described: str) -> list[int | None]:
    """Check that an input is one waveform; its shape, None for an axis of any length.

    A waveform is float32 (samples,), (batch, samples), (batch, 1, samples) or (batch, samples, 1).
    Raises UnfitError.
    """
    if not is_float32 or len(shape) not in (1, 2, 3):
        raise UnfitError(
            "input %r is %s; a waveform is float32 (samples,), (batch, samples), (batch, 1, samples) or "
            "(batch, samples, 1)" % (name, described)
        )
    return shape


def shape_of(waveform: Any, model_shape: list[int | None]) -> tuple[int, ...]:
    """The shape in which a model of ``model_shape`` is given a waveform. Raises UnfitError."""
    ones = (1,) * (len(model_shape) - 1)
    channel_last = len(model_shape) == 3 and model_shape[2] == 1 and model_shape[1] != 1
    shape = (1, len(waveform), 1) if channel_last else (*ones, len(waveform))
    for axis, length in zip(model_shape, shape):
        if axis not in (None, length):
            raise UnfitError("the model's input is fixed to %s, the waveform is %s" % (model_shape, shape))
    return shape


def return_memory() -> None:
    """Have the C library give freed blocks of 64 KiB and more back to the system at once.

    Raises UnfitError where it has no ``mallopt``, as only glibc has.
    """
    import ctypes

    try:
        done = ctypes.CDLL(None).mallopt(-3, 1 << 16)  # M_MMAP_THRESHOLD, malloc.h
    except AttributeError:
        done = 0
    if not done:
        raise UnfitError("return_memory needs glibc, whose mallopt sets what is given back")
