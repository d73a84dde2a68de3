"""ONNX operators in torch, so that a graph can be differentiated by its stored weights.

Only what stands behind a front end is needed: the operators of the nets that edgebench has, and what other
exporters write for the same layers. A rule takes a node's attributes and its inputs, None where one is left
out, and gives the outputs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgebench.models.quantization.moments import edges

if TYPE_CHECKING:
    from torch import Tensor

Attributes = Mapping[str, Any]
Rule = Callable[[Attributes, Sequence[Any]], Any]


@functools.cache
def rules() -> dict[str, Rule]:
    """The rules by operator, made where torch is needed."""
    import torch  # noqa: PLC0415
    from torch.nn import functional  # noqa: PLC0415

    return {
        "Abs": lambda a, x: x[0].abs(),
        "Add": lambda a, x: x[0] + x[1],
        "AveragePool": _average_pool,
        "BatchNormalization": lambda a, x: functional.batch_norm(
            x[0], x[3], x[4], x[1], x[2], eps=a.get("epsilon", 1e-5)
        ),
        "Cast": lambda a, x: x[0].to(_kind(a["to"])),
        "Clip": lambda a, x: _clip(x),
        "Concat": lambda a, x: torch.cat(list(x), a["axis"]),
        "Conv": _convolution,
        "Div": lambda a, x: x[0] / x[1] if x[0].is_floating_point() else x[0] // x[1],
        "Equal": lambda a, x: x[0] == x[1],
        "Erf": lambda a, x: torch.erf(x[0]),
        "Exp": lambda a, x: x[0].exp(),
        "Expand": lambda a, x: x[0] * torch.ones(_sizes(x[1]), dtype=x[0].dtype),
        "Flatten": lambda a, x: _flattened(a, x[0]),
        "Gather": _gather,
        "Gelu": lambda a, x: functional.gelu(x[0], approximate=a.get("approximate", b"none").decode()),
        "Gemm": _gemm,
        "GlobalAveragePool": lambda a, x: x[0].mean(list(range(2, x[0].ndim)), keepdim=True),
        "HardSigmoid": lambda a, x: (a.get("alpha", 0.2) * x[0] + a.get("beta", 0.5)).clamp(0.0, 1.0),
        "HardSwish": lambda a, x: functional.hardswish(x[0]),
        "Identity": lambda a, x: x[0],
        "InstanceNormalization": lambda a, x: functional.instance_norm(
            x[0], weight=x[1], bias=x[2], eps=a.get("epsilon", 1e-5)
        ),
        "LayerNormalization": _layer_norm,
        "LeakyRelu": lambda a, x: functional.leaky_relu(x[0], a.get("alpha", 0.01)),
        "Log": lambda a, x: x[0].log(),
        "LogSoftmax": lambda a, x: x[0].log_softmax(a.get("axis", -1)),
        "MatMul": lambda a, x: x[0] @ x[1],
        "Max": lambda a, x: functools.reduce(torch.maximum, x),
        "MaxPool": _max_pool,
        "Min": lambda a, x: functools.reduce(torch.minimum, x),
        "Mul": lambda a, x: x[0] * x[1],
        "Neg": lambda a, x: -x[0],
        "Pad": _pad,
        "Pow": lambda a, x: x[0] ** x[1],
        "Reciprocal": lambda a, x: 1.0 / x[0],
        "ReduceMax": lambda a, x: x[0].amax(_axes(a, x), keepdim=bool(a.get("keepdims", 1))),
        "ReduceMean": lambda a, x: x[0].mean(_axes(a, x), keepdim=bool(a.get("keepdims", 1))),
        "ReduceSum": lambda a, x: x[0].sum(_axes(a, x), keepdim=bool(a.get("keepdims", 1))),
        "Relu": lambda a, x: x[0].relu(),
        "Reshape": lambda a, x: x[0].reshape(_target(x[0], _sizes(x[1]))),
        "Shape": lambda a, x: torch.tensor(x[0].shape[a.get("start", 0) : a.get("end")]),
        "Sigmoid": lambda a, x: x[0].sigmoid(),
        "Slice": _slice,
        "Softmax": lambda a, x: x[0].softmax(a.get("axis", -1)),
        "Softplus": lambda a, x: functional.softplus(x[0]),
        "Split": _split,
        "Sqrt": lambda a, x: x[0].sqrt(),
        "Squeeze": lambda a, x: x[0].squeeze(_axes(a, x)) if _axes(a, x) else x[0].squeeze(),
        "Sub": lambda a, x: x[0] - x[1],
        "Tanh": lambda a, x: x[0].tanh(),
        "Transpose": lambda a, x: x[0].permute(a.get("perm", list(range(x[0].ndim))[::-1])),
        "Unsqueeze": _unsqueeze,
        "Where": lambda a, x: torch.where(x[0], x[1], x[2]),
    }


def _kind(number: int) -> Any:
    """The torch type of an ONNX element type."""
    import onnx  # noqa: PLC0415
    import torch  # noqa: PLC0415

    return torch.from_numpy(np.empty(0, onnx.helper.tensor_dtype_to_np_dtype(number))).dtype


def _sizes(given: Tensor) -> list[int]:
    return [int(size) for size in given.tolist()]


def _target(x: Tensor, sizes: Sequence[int]) -> list[int]:
    """The shape that Reshape asks for: 0 keeps an axis as it is."""
    return [x.shape[at] if size == 0 else size for at, size in enumerate(sizes)]


def _axes(a: Attributes, x: Sequence[Any]) -> list[int]:
    """The axes of a reduction or of Squeeze, given as an input or as an attribute; none means all."""
    given = _sizes(x[1]) if len(x) > 1 and x[1] is not None else a.get("axes")
    return [int(axis) for axis in given] if given else []


def _clip(x: Sequence[Any]) -> Any:
    least, most = [*x[1:], None, None][:2]
    return x[0] if least is None and most is None else x[0].clamp(least, most)


def _flattened(a: Attributes, x: Tensor) -> Tensor:
    axis = a.get("axis", 1)
    head = 1
    for size in x.shape[:axis]:
        head *= size
    return x.reshape(head, -1)


def _gather(a: Attributes, x: Sequence[Any]) -> Any:
    axis = a.get("axis", 0) % x[0].ndim
    index = x[1] % x[0].shape[axis]
    taken = x[0].index_select(axis, index.reshape(-1))
    return taken.reshape([*x[0].shape[:axis], *index.shape, *x[0].shape[axis + 1 :]])


def _gemm(a: Attributes, x: Sequence[Any]) -> Any:
    left = x[0].T if a.get("transA") else x[0]
    right = x[1].T if a.get("transB") else x[1]
    product = a.get("alpha", 1.0) * (left @ right)
    return product if len(x) < 3 or x[2] is None else product + a.get("beta", 1.0) * x[2]


def _layer_norm(a: Attributes, x: Sequence[Any]) -> Any:
    from torch.nn import functional  # noqa: PLC0415

    shape = list(x[0].shape[a.get("axis", -1) :])
    bias = x[2] if len(x) > 2 else None
    return functional.layer_norm(x[0], shape, x[1].reshape(shape), bias, a.get("epsilon", 1e-5))


def _slice(_: Attributes, x: Sequence[Any]) -> Any:
    import torch  # noqa: PLC0415

    starts, ends = _sizes(x[1]), _sizes(x[2])
    axes = _sizes(x[3]) if len(x) > 3 and x[3] is not None else list(range(len(starts)))
    steps = _sizes(x[4]) if len(x) > 4 and x[4] is not None else [1] * len(starts)
    found = x[0]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step > 0:  # a view
            found = found[(*[slice(None)] * (axis % found.ndim), slice(start, end, step))]
            continue
        whole = end < -(2**31)  # how exporters write "to the first element"
        places = range(found.shape[axis])[slice(start, None if whole else end, step)]
        found = found.index_select(axis, torch.tensor(places, dtype=torch.int64))
    return found


def _split(a: Attributes, x: Sequence[Any]) -> Any:
    axis = a.get("axis", 0)
    if len(x) > 1 and x[1] is not None:
        return x[0].split(_sizes(x[1]), axis)
    return x[0].split(-(-x[0].shape[axis] // a["outputs"]), axis)


def _unsqueeze(a: Attributes, x: Sequence[Any]) -> Any:
    found = x[0]
    axes = _axes(a, x)
    whole = found.ndim + len(axes)
    for axis in sorted(axis % whole for axis in axes):
        found = found.unsqueeze(axis)
    return found


def _pad(a: Attributes, x: Sequence[Any]) -> Any:
    sizes = _sizes(x[1])
    axes = _sizes(x[3]) if len(x) > 3 and x[3] is not None else list(range(x[0].ndim))
    count = len(axes)
    before, behind = dict(zip(axes, sizes[:count], strict=True)), dict(zip(axes, sizes[count:], strict=True))
    around = [(before.get(axis, 0), behind.get(axis, 0)) for axis in range(x[0].ndim)]
    mode = a.get("mode", b"constant").decode()
    value = float(x[2]) if len(x) > 2 and x[2] is not None else 0.0
    return _padded(x[0], around, value, {"edge": "replicate"}.get(mode, mode))


def _padded(x: Tensor, around: Sequence[tuple[int, int]], value: float, mode: str = "constant") -> Tensor:
    """Zeros, or what ``mode`` gives, ``around`` the last axes of x."""
    from torch.nn import functional  # noqa: PLC0415

    while len(around) > 1 and not any(around[0]):
        around = around[1:]
    flat = [size for pair in reversed(around) for size in pair]
    if not any(flat):
        return x
    return functional.pad(x, flat, mode, value) if mode == "constant" else functional.pad(x, flat, mode)


def _window(a: Attributes, x: Tensor, kernel: Sequence[int]) -> tuple[list[int], list[int], Any]:
    """Strides, dilations, and what is added around each axis."""
    strides = a.get("strides") or [1] * len(kernel)
    dilations = a.get("dilations") or [1] * len(kernel)
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    return strides, dilations, edges(dict(a), x.shape[2:], reach, strides)


def _convolution(a: Attributes, x: Sequence[Any]) -> Any:
    from torch.nn import functional  # noqa: PLC0415

    strides, dilations, around = _window(a, x[0], x[1].shape[2:])
    run = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}[x[0].ndim]
    bias = x[2] if len(x) > 2 else None
    return run(
        _padded(x[0], around, 0.0),
        x[1],
        bias,
        stride=strides,
        dilation=dilations,
        groups=a.get("group", 1),
    )


def _max_pool(a: Attributes, x: Sequence[Any]) -> Any:
    from torch.nn import functional  # noqa: PLC0415

    strides, dilations, around = _window(a, x[0], a["kernel_shape"])
    run = {3: functional.max_pool1d, 4: functional.max_pool2d}[x[0].ndim]
    ceil = bool(a.get("ceil_mode", 0))
    padded = _padded(x[0], around, float("-inf"))
    return run(padded, a["kernel_shape"], strides, dilation=dilations, ceil_mode=ceil)


def _average_pool(a: Attributes, x: Sequence[Any]) -> Any:
    import torch  # noqa: PLC0415
    from torch.nn import functional  # noqa: PLC0415

    strides, _, around = _window(a, x[0], a["kernel_shape"])
    run = {3: functional.avg_pool1d, 4: functional.avg_pool2d}[x[0].ndim]
    ceil = bool(a.get("ceil_mode", 0))
    mean = run(_padded(x[0], around, 0.0), a["kernel_shape"], strides, ceil_mode=ceil)
    if a.get("count_include_pad", 0):
        return mean
    counted = _padded(torch.ones_like(x[0]), around, 0.0)
    return mean / run(counted, a["kernel_shape"], strides, ceil_mode=ceil)
