"""Models that keep a state: a waveform goes through them frame by frame, and the state is fed back.

One inference is a whole waveform, from a state of zeros: the work of every frame, and of carrying the
state from one to the next, is in its latency.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable


class Stream:
    """``settings`` is the session setting ``streaming`` (see ``edgebench.models.formats.contents``).

    ``run(None, inputs)`` gives the outputs of one call, in the order of ``output_names``; ``shaped`` turns
    samples into what the waveform input takes.
    """

    def __init__(
        self, run: Callable[..., Any], name: str, output_names: list[str], settings: dict[str, Any]
    ) -> None:
        self._run = run
        self._name = name
        self._settings = settings
        self._back = [(source, output_names.index(given)) for source, given in settings["state"].items()]

    def bind(self, waveform: Any, shaped: Callable[[Any], Any]) -> Callable[[], Any]:
        """The inference of one waveform (samples,): its outputs are those of the last frame."""
        import numpy

        frame, context = self._settings["frame"], self._settings["context"]
        count = max(1, -(-len(waveform) // frame))
        padded = numpy.zeros(context + count * frame, numpy.float32)
        padded[context : context + len(waveform)] = waveform
        frames = [
            shaped(padded[place * frame : (place + 1) * frame + context].copy()) for place in range(count)
        ]
        start = {name: numpy.zeros(shape, numpy.float32) for name, shape in self._settings["shapes"].items()}
        start.update(self._settings["constants"])
        run, name, back = self._run, self._name, self._back

        def infer() -> Any:
            inputs = dict(start)
            for samples in frames:
                inputs[name] = samples
                outputs = run(None, inputs)
                for source, place in back:
                    inputs[source] = outputs[place]
            return outputs

        return infer
