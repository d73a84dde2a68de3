"""A corpus as one file for a board: read clip by clip, never whole, and free of labels.

Layout::

    b"EBPACK1\\n"
    8 bytes   length of the header, little-endian
    header    JSON {"sample_rate_hz", "dtype": "int16" | "float32",
                    "clips": [{"id", "offset", "samples"}, ...]}   offsets in samples
    zeros     up to a multiple of 8
    samples   raw, little-endian, mono, clip after clip

This module reads it on a board; ``edgebench.corpora.packfile`` writes it on the host.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

    import numpy

    Waveform = numpy.ndarray[Any, numpy.dtype[numpy.float32]]

MAGIC = b"EBPACK1\n"
DTYPES = {"int16": "<i2", "float32": "<f4"}
_MAX_HEADER_BYTES = 256 << 20  # a length beyond this is damage, not a corpus


class PackError(ValueError):
    """The file is not a pack, or is cut."""


class Pack:
    """A pack opened for reading. Raises PackError for a damaged file, OSError for a missing one.

    >>> pack = Pack("corpus.pack")           # doctest: +SKIP
    >>> pack.ids[0], pack.read(0).shape      # doctest: +SKIP
    ('emodb/03a01Fa', (30372,))
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        with open(path, "rb") as file:
            start = file.read(16)
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(start[8:], "little")
            if start[:8] != MAGIC or len(start) != 16 or length > min(size - 16, _MAX_HEADER_BYTES):
                raise PackError("%s is not a pack, or is cut" % path)
            try:
                header = json.loads(file.read(length))
                clips = header["clips"]
                self.path = path
                self.sample_rate_hz = int(header["sample_rate_hz"])
                self.dtype = DTYPES[header["dtype"]]
                self.ids = [str(clip["id"]) for clip in clips]
                self.lengths = [int(clip["samples"]) for clip in clips]  # in samples
                self._offsets = [int(clip["offset"]) for clip in clips]
            except (ValueError, KeyError, TypeError) as problem:
                raise PackError("%s has a damaged header: %r" % (path, problem)) from None
        self._start = aligned(16 + length)
        self._item_bytes = int(self.dtype[-1])
        end = max((o + n for o, n in zip(self._offsets, self.lengths)), default=0)
        if size < self._start + end * self._item_bytes or min(self._offsets + self.lengths, default=0) < 0:
            raise PackError("%s is cut: %d bytes, its header promises more" % (path, size))

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, index: int) -> Waveform:
        """One clip, float32 (samples,) in [-1, 1]."""
        import numpy

        offset = self._start + self._offsets[index] * self._item_bytes
        raw = numpy.fromfile(self.path, self.dtype, self.lengths[index], offset=offset)
        if len(raw) != self.lengths[index]:
            raise PackError("%s is cut in clip %r" % (self.path, self.ids[index]))
        waveform = raw.astype(numpy.float32)
        if self.dtype == DTYPES["int16"]:
            waveform *= numpy.float32(1 / 32768)
        return waveform


def aligned(offset: int) -> int:
    """The next multiple of 8: where the samples begin behind a header that ends at ``offset``."""
    return -(-offset // 8) * 8
