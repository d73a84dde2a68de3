"""What the converter writes beside the net taken out of a .tflite, and what the file says of itself put in.

A converter's tensor names hold module paths, once a tensor and signature: 120 KB of a file of seven
signatures. The scales of shared weights stand in it once a signature. Names become numbers here, and
equal scales are written once. Inputs and outputs keep their names, which belong to the signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def tidied(data: bytes) -> bytes:
    """The same model with numbers for the names of its tensors. The same input gives the same bytes."""
    model = unpacked(data)
    for graph in model.subgraphs:
        graph.name = None
        for number, tensor in enumerate(graph.tensors):
            tensor.name = str(number)
    return packed(model)


def with_metadata(data: bytes, entries: Mapping[str, bytes]) -> bytes:
    """The same model with these metadata entries, in the place of earlier ones of their names."""
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

    model = unpacked(data)
    kept = [entry for entry in model.metadata or [] if _text(entry.name) not in entries]
    for name, value in entries.items():
        buffer = schema.BufferT()
        buffer.data = list(value)
        model.buffers.append(buffer)
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(model.buffers) - 1
        kept.append(entry)
    model.metadata = kept
    return packed(model)


def unpacked(data: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def packed(model: Any) -> bytes:
    """Write the model; strings and quantization parameters that are equal are written once."""
    import flatbuffers  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

    strings: dict[Any, int] = {}
    scales: dict[Any, int] = {}
    pack = schema.QuantizationParametersT.Pack

    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        def CreateString(self, text: Any, *rest: Any) -> int:  # noqa: N802 - the library's name
            if text not in strings:
                strings[text] = super().CreateString(text, *rest)
            return strings[text]

    def pack_once(parameters: Any, builder: Any) -> int:
        values = (parameters.min, parameters.max, parameters.scale, parameters.zeroPoint)
        stored = tuple(None if value is None else np.asarray(value).tobytes() for value in values)
        key = (*stored, parameters.quantizedDimension, parameters.detailsType)
        if key not in scales:
            scales[key] = pack(parameters, builder)
        return scales[key]

    builder = Builder(1 << 20)
    schema.QuantizationParametersT.Pack = pack_once
    try:
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    finally:
        schema.QuantizationParametersT.Pack = pack
    return bytes(builder.Output())


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
