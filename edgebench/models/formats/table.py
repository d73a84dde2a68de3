"""The table of formats, and how a file says which one it is: by its first bytes, never by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from edgebench.errors import ModelError
from edgebench.models.formats import onnx_file, tflite_file
from edgebench.models.formats.contents import Contents

# Format -> its reader. The runtimes that load each are in edgebench/agent/runtimes/table.py.
READERS: Mapping[str, Callable[[Path], Contents]] = MappingProxyType(
    {onnx_file.FORMAT: onnx_file.read, tflite_file.FORMAT: tflite_file.read}
)
SUFFIXES: Mapping[str, str] = MappingProxyType({name: f".{name}" for name in READERS})

_HEAD = 64
_LFS = b"version https://git-lfs"


def format_of(path: Path) -> str:
    """The format of a file. Raises ModelError for a known format that is not taken, and an unreadable file.

    A file of no known signature is taken for ONNX, which has none; its reader looks closer.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise ModelError(f"model {path} cannot be read: {error.strerror or error}.") from None
    if head.startswith(_LFS):
        raise ModelError(
            f"model {path} is a git-lfs pointer, not the model: the repository was cloned without its large "
            "files. Run `git lfs pull` in it (after `git lfs install`), and give the file again."
        )
    identifier = head[4:8]  # where a flatbuffer says what it holds
    if identifier == tflite_file.IDENTIFIER or (path.suffix == ".tflite" and len(head) < 8):
        return tflite_file.FORMAT
    if identifier == b"ORTM" or path.suffix == ".ort":
        raise ModelError(
            f"model {path} is in onnxruntime's own format (.ort), made for one release and processor and "
            "without what edgebench reads from a file. Give the .onnx file that it was made from; the "
            "runtime optimises that one by itself when it loads it."
        )
    if path.suffix == ".tflite":
        raise ModelError(
            f"model {path} ({path.stat().st_size} bytes) is called .tflite and does not begin as one (no "
            "TFL3 at byte 4): it was cut or is another kind of file. Copy or convert it again."
        )
    return onnx_file.FORMAT
