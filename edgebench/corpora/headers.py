"""Where the samples of a WAV, RF64, W64 or AIFF file lie, and how many its header promises.

libsndfile reads what is there and says nothing of what is missing. This module tells apart a file that was
cut short and a file whose writer did not know the length when it wrote the header, because it wrote into
a pipe. Such writers leave a placeholder: sox 0x7FFFF000, ffmpeg 0xFFFFFFFF, others 0, 0x7FFFFFFF or
0x80000000.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

from edgebench.errors import CorpusError

_W64_RIFF: Final = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
# A length of 32 bits from here on is a placeholder: as a real one it would be 18 hours of a clip.
_PLACEHOLDER_32: Final = 0x7F00_0000
_PLACEHOLDER_64: Final = 1 << 62
_MOST_CHUNKS: Final = 10_000  # a damaged file may look like millions of empty ones

ByteOrder = Literal["little", "big"]


@dataclass(frozen=True)
class Extent:
    """The samples of a file, in bytes from ``start``.

    ``promised``: what the header says, None where its writer did not know. ``there``: what the file holds.
    ``frame``: one sample of all channels. ``zero_end``: whether the last byte is 0.
    """

    start: int
    promised: int | None
    there: int
    frame: int
    zero_end: bool

    @property
    def whole_bytes(self) -> int | None:
        """Bytes of samples up to the end of the file, None where the last sample is cut.

        A chunk of odd length ends with one zero byte of padding, which is no sample.
        """
        if self.there % self.frame == 0:
            return self.there
        padded = self.there - 1
        return padded if self.zero_end and padded % 2 == 1 and padded % self.frame == 0 else None


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    start: int  # of its content
    length: int


def extent_of(path: Path) -> Extent | None:
    """Where the samples of ``path`` lie, None for a file of another container.

    Raises ``CorpusError`` for a file without a chunk of samples, ``OSError`` where it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
            return _wav(path, list(_chunks(file, "little")), size, file)
        if head == _W64_RIFF:
            return _w64(path, list(_w64_chunks(file)), size, file)
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return _aiff(path, list(_chunks(file, "big")), size, file)
    return None


def with_true_length(path: Path, extent: Extent) -> io.BytesIO:
    """The bytes of a WAV or RF64 file of unknown length as a WAV whose header says the true one."""
    content = bytearray(path.read_bytes())
    content[0:4] = b"RIFF"
    content[4:8] = min(len(content) - 8, 0xFFFF_FFFF).to_bytes(4, "little")
    if content[12:16] == b"ds64":  # the table of 64-bit lengths, no longer to be read
        content[12:16] = b"JUNK"
    whole = extent.whole_bytes or 0
    content[extent.start - 4 : extent.start] = min(whole, 0xFFFF_FFFF).to_bytes(4, "little")
    return io.BytesIO(bytes(content[: extent.start + whole]))


def _wav(path: Path, chunks: list[_Chunk], size: int, file: BinaryIO) -> Extent:
    data = _named(chunks, b"data", path)
    frame = _field(file, chunks, b"fmt ", offset=12, size=2, order="little")
    wide = _field(file, chunks, b"ds64", offset=8, size=8, order="little")
    if data.length == 0xFFFF_FFFF and wide:
        unknown = wide >= _PLACEHOLDER_64
        return _extent(file, size, data.start, None if unknown else wide, frame)
    there = size - data.start
    unknown = data.length > there and data.length >= _PLACEHOLDER_32
    # An empty chunk of samples, followed by bytes that are no chunks: the samples themselves.
    if data.length == 0 and there > 0 and not _well_formed(file, data.start, size):
        unknown = True
    return _extent(file, size, data.start, None if unknown else data.length, frame)


def _w64(path: Path, chunks: list[_Chunk], size: int, file: BinaryIO) -> Extent:
    data = _named(chunks, b"data", path)
    frame = _field(file, chunks, b"fmt ", offset=12, size=2, order="little")
    there = size - data.start
    unknown = data.length >= _PLACEHOLDER_64 or (data.length <= 0 < there)
    return _extent(file, size, data.start, None if unknown else data.length, frame)


def _aiff(path: Path, chunks: list[_Chunk], size: int, file: BinaryIO) -> Extent:
    data = _named(chunks, b"SSND", path)
    channels = _field(file, chunks, b"COMM", offset=0, size=2, order="big")
    bits = _field(file, chunks, b"COMM", offset=6, size=2, order="big")
    start = data.start + 8  # behind an offset and a block size of 4 bytes each
    unknown = data.length >= _PLACEHOLDER_32 or (data.length == 0 and start < size)
    promised = None if unknown else max(data.length - 8, 0)
    return _extent(file, size, start, promised, channels * -(-bits // 8))


def _extent(file: BinaryIO, size: int, start: int, promised: int | None, frame: int) -> Extent:
    file.seek(size - 1)
    return Extent(start, promised, max(size - start, 0), max(frame, 1), file.read(1) == b"\0")


def _chunks(file: BinaryIO, order: ByteOrder) -> Iterator[_Chunk]:
    """The chunks of a RIFF or AIFF file up to the samples."""
    position = 12
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        chunk = _Chunk(head[:4], position + 8, int.from_bytes(head[4:], order))
        yield chunk
        if chunk.name in (b"data", b"SSND"):
            return
        position = chunk.start + chunk.length + chunk.length % 2


def _w64_chunks(file: BinaryIO) -> Iterator[_Chunk]:
    """The chunks of a W64 file: 16 bytes of name, 8 of length, which counts these 24 bytes too."""
    position = 40
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        head = file.read(24)
        if len(head) < 24:
            return
        chunk = _Chunk(head[:4], position + 24, int.from_bytes(head[16:], "little") - 24)
        yield chunk
        if chunk.name == b"data":
            return
        position = chunk.start + max(chunk.length, 0) + -chunk.length % 8


def _well_formed(file: BinaryIO, start: int, size: int) -> bool:
    """Whether chunks follow one another from ``start`` to the very end of the file."""
    position = start
    while position + 8 <= size:
        file.seek(position)
        head = file.read(8)
        if not head[:4].isascii() or not head[:4].decode("ascii").isprintable():
            return False
        length = int.from_bytes(head[4:], "little")
        position += 8 + length + length % 2
    return position in (size, size + 1)


def _field(
    file: BinaryIO, chunks: list[_Chunk], name: bytes, *, offset: int, size: int, order: ByteOrder
) -> int:
    """A number in a chunk, 0 where there is no such chunk."""
    chunk = next((chunk for chunk in chunks if chunk.name == name), None)
    if chunk is None:
        return 0
    file.seek(chunk.start + offset)
    return int.from_bytes(file.read(size), order)


def _named(chunks: list[_Chunk], name: bytes, path: Path) -> _Chunk:
    chunk = next((chunk for chunk in chunks if chunk.name == name), None)
    if chunk is None:
        raise CorpusError(
            f"{path}: the file is cut short: its header promises a {name.decode()} chunk, there is none. "
            "Copy or download it again."
        )
    return chunk
