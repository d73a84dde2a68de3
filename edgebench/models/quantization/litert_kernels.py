"""Operators for which XNNPACK, LiteRT's library of kernels, has a kernel, in place of one that it lacks."""

from __future__ import annotations

from typing import Any

import numpy as np


def for_xnnpack(model: Any) -> Any:
    """The float model with a convolution over one channel as CONV_2D. ``model`` is changed.

    litert-torch writes it as a DEPTHWISE_CONV_2D with as many results as that channel has filters.
    """
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

    turned: dict[int, int] = {}  # buffer of a depthwise filter -> buffer of the same as a plain one
    for graph in model.subgraphs:
        done: set[int] = set()
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            if code != schema.BuiltinOperator.DEPTHWISE_CONV_2D:
                continue
            read, weight = (graph.tensors[number] for number in operator.inputs[:2])
            if read.shape[-1] != 1 or weight.type != schema.TensorType.FLOAT32:
                continue
            operator.opcodeIndex = _code(model, schema.BuiltinOperator.CONV_2D)
            operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
            operator.builtinOptions = _options(operator.builtinOptions)
            if operator.inputs[1] not in done:
                done.add(operator.inputs[1])
                _turn(model, weight, turned)
    return model


def _turn(model: Any, weight: Any, turned: dict[int, int]) -> None:
    """A filter (1, height, width, outputs) as (outputs, height, width, 1)."""
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

    if weight.buffer not in turned:
        stored = np.frombuffer(bytes(model.buffers[weight.buffer].data), np.float32)
        buffer = schema.BufferT()
        plain = np.ascontiguousarray(stored.reshape(weight.shape).transpose(3, 1, 2, 0))
        buffer.data = np.frombuffer(plain.tobytes(), np.uint8)
        model.buffers.append(buffer)
        turned[weight.buffer] = len(model.buffers) - 1
    weight.buffer = turned[weight.buffer]
    weight.shape = np.asarray(weight.shape)[[3, 1, 2, 0]]


def _options(depthwise: Any) -> Any:
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

    options = schema.Conv2DOptionsT()
    for name in ("padding", "strideW", "strideH", "dilationWFactor", "dilationHFactor"):
        setattr(options, name, getattr(depthwise, name))
    options.fusedActivationFunction = depthwise.fusedActivationFunction
    return options


def _code(model: Any, builtin: int) -> int:
    """The number of an operator's code in the model, which gets it where it has none."""
    from ai_edge_litert import schema_py_generated as schema  # noqa: PLC0415

    for number, code in enumerate(model.operatorCodes):
        if code.builtinCode == builtin:
            return number
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
