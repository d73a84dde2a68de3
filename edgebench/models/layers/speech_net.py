"""What every architecture is: a module from a waveform to answers by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from edgebench.errors import UsageError, nearest
from edgebench.models.outputs import DIMENSIONS, EMBEDDING, EMOTION_LOGITS, HEADS

Answers = dict[str, Tensor]  # by the names of edgebench.models.outputs, in the order asked for


class SpeechNet(nn.Module):
    """Waveform (batch, samples) at 16 kHz to a dictionary of named answers.

    Without ``outputs`` a net answers those of :attr:`outputs`: the two heads. Anything else in
    :attr:`available`, such as the embedding, is computed only where it is asked for, so that an exported
    file does not pay for it. Each has its name, shape and meaning in :mod:`edgebench.models.outputs`.

    Training calls :meth:`features` and then :meth:`classify`, with augmentation between the two.
    """

    available: ClassVar[tuple[str, ...]] = (*HEADS, EMBEDDING)
    takes_lengths: ClassVar[bool] = False  # whether padding of a batch can be masked
    outputs: tuple[str, ...] = HEADS
    hop_samples: int

    def forward(
        self, waveform: Tensor, lengths: Tensor | None = None, *, outputs: Sequence[str] | None = None
    ) -> Answers:
        """The answers to ``waveform``; ``lengths`` (batch,) are the samples of each item before its padding.

        Raises :class:`UsageError` for an output or lengths that this architecture does not know.
        """
        if lengths is not None and not self.takes_lengths:
            raise UsageError(
                f"{type(self).__name__} takes no lengths, so a padded batch cannot be masked. Set "
                "prepare.padding='heard', or take a transformer such as 'distilhubert'."
            )
        return self.classify(self.front_end(waveform, lengths), lengths, outputs=outputs)

    def front_end(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The features that :meth:`classify` reads, by the operators that are exported."""
        raise NotImplementedError

    def features(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The same features, by the quickest way on a CPU and without gradient where nothing is learnt."""
        return self.front_end(waveform, lengths)

    def classify(
        self, features: Tensor, lengths: Tensor | None = None, *, outputs: Sequence[str] | None = None
    ) -> Answers:
        """The answers to features."""
        raise NotImplementedError

    def new_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that no checkpoint fills: fine-tuning may let them learn faster than the rest."""
        yield from ()

    def asked(self, outputs: Sequence[str] | None) -> tuple[str, ...]:
        """``outputs``, or the default ones. Raises :class:`UsageError` for one that is not available."""
        names = self.outputs if outputs is None else tuple(outputs)
        for name in names:
            if name not in self.available:
                raise UsageError(
                    f"{type(self).__name__} has no output {name!r}: {nearest(name, self.available)}."
                )
        return names


def answered(names: Sequence[str], answers: Mapping[str, Callable[[], Tensor]]) -> Answers:
    """Only what is asked for, computed in the order asked for."""
    return {name: answers[name]() for name in names}


def read_heads(net: nn.Module, embedding: Tensor, names: Sequence[str]) -> Answers:
    """The answers to an embedding (batch, width) by a net's ``dropout``, ``adv`` and ``emotion``."""
    dropped: Tensor = net.dropout(embedding)  # type: ignore[operator]
    return answered(
        names,
        {
            DIMENSIONS: lambda: net.adv(dropped),  # type: ignore[operator]
            EMOTION_LOGITS: lambda: net.emotion(dropped),  # type: ignore[operator]
            EMBEDDING: lambda: embedding,
        },
    )
