"""A corpus as one file for a board: read clip by clip, never whole, and free of labels.

Layout::

    b"EBPACK1\\n"
    8 bytes   length of the header, little-endian
    header    JSON {"sample_rate_hz", "dtype": "int16" | "float32",
                    "clips": [{"id", "offset", "samples"}, ...]}   offsets in samples
    zeros     up to a multiple of 8
    samples   raw, little-endian, mono, clip after clip

The host writes it with this module as well, so there is one definition. The same clips give the
same bytes.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Iterable

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
        self._start = _aligned(16 + length)
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


def write(
    path: str | os.PathLike[str],
    clips: Iterable[tuple[str, Any]],
    *,
    sample_rate_hz: int = 16000,
    dtype: str = "int16",
) -> None:
    """Write a pack from (id, waveform) pairs; a waveform is (samples,), float in [-1, 1] or int16.

    Clips are taken one at a time, so the corpus never sits in memory. Floats become int16 by
    rounding ``x * 32768`` and clipping; NaN raises PackError, as does an id that appears twice.
    The file appears whole or not at all.
    """
    import numpy

    raw_path, part_path = "%s.raw" % path, "%s.part" % path
    entries: list[dict[str, Any]] = []
    seen: set[str] = set()
    offset = 0
    try:
        with open(raw_path, "wb+") as raw:
            for clip_id, given in clips:
                waveform = numpy.asarray(given)
                if waveform.ndim != 1 or clip_id in seen:
                    raise PackError("clip %r: shape %r, or its id appears twice" % (clip_id, waveform.shape))
                seen.add(clip_id)
                if dtype == "int16" and waveform.dtype != numpy.int16:
                    scaled = numpy.round(waveform.astype(numpy.float64) * 32768)
                    waveform = numpy.clip(scaled, -32768, 32767)
                elif dtype == "float32" and waveform.dtype == numpy.int16:
                    waveform = waveform / 32768
                if not numpy.isfinite(waveform).all():
                    raise PackError("clip %r holds NaN or infinity" % clip_id)
                raw.write(waveform.astype(DTYPES[dtype]).tobytes())
                entries.append({"id": clip_id, "offset": offset, "samples": len(waveform)})
                offset += len(waveform)
            header = {"sample_rate_hz": sample_rate_hz, "clips": entries, "dtype": dtype}
            text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
            raw.seek(0)
            with open(part_path, "wb") as part:
                part.write(MAGIC + len(text).to_bytes(8, "little") + text)
                part.write(bytes(_aligned(16 + len(text)) - 16 - len(text)))
                for piece in iter(lambda: raw.read(1 << 20), b""):
                    part.write(piece)
        os.replace(part_path, path)
    finally:
        for leftover in (raw_path, part_path):
            if os.path.exists(leftover):
                os.unlink(leftover)


def _aligned(offset: int) -> int:
    return -(-offset // 8) * 8
