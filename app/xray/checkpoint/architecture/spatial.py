"""What layers that slide over maps give, weigh and cost.

Formulas are Keras' own (`compute_output_shape` and `build` of each layer).
"""

from __future__ import annotations

import math

from app.xray.checkpoint.architecture.given import Cost, Given, Shape


def a_map(given: Given, shape: Shape) -> tuple[int, int, int]:
    """The three extents of a map."""
    if len(shape) != 3:
        raise given.wrong(f"takes a map, and gets {shape}")
    return shape


def _windows(given: Given, extents: Shape, size: Shape, strides: Shape, dilation: Shape) -> Shape:
    padding = given.settings.get("padding", "valid")
    if padding not in {"same", "valid"}:
        raise given.wrong(f"has padding {str(padding)[:40]}")
    found = []
    for extent, window, stride, spread in zip(extents, size, strides, dilation, strict=True):
        reach = 1 if padding == "same" else (window - 1) * spread + 1
        found.append((extent - reach) // stride + 1)
    if min(found) < 1:
        raise given.wrong(f"leaves nothing of a map of {' x '.join(map(str, extents))}")
    return tuple(found)


def bias(given: Given, count: int) -> tuple[tuple[str, Shape], ...]:
    """The weights of a bias of `count` numbers, where the layer has one."""
    return (("bias", (count,)),) if given.flag("use_bias", default=True) else ()


def convolution(given: Given, shape: Shape) -> Cost:
    """Of a convolution: plain, grouped, depthwise or separable."""
    count = 1 if given.kind == "Conv1D" else 2
    if len(shape) != count + 1:
        raise given.wrong(f"takes a map, and gets {shape}")
    *extents, channels = shape
    size, strides, dilation = (
        given.pair(key, count=count) for key in ("kernel_size", "strides", "dilation_rate")
    )
    places = _windows(given, tuple(extents), size, strides, dilation)
    area, hidden = math.prod(size), 0
    if given.kind == "DepthwiseConv2D":
        filters = channels * given.whole("depth_multiplier", 1)
        kernels: tuple[tuple[str, Shape], ...] = (
            ("depthwise_kernel", (*size, channels, given.whole("depth_multiplier", 1))),
        )
        work = area * filters
    elif given.kind == "SeparableConv2D":
        filters, multiplier = given.whole("filters"), given.whole("depth_multiplier", 1)
        kernels = (
            ("depthwise_kernel", (*size, channels, multiplier)),
            ("pointwise_kernel", (1, 1, channels * multiplier, filters)),
        )
        hidden = math.prod(places) * channels * multiplier
        work = (area + filters) * channels * multiplier
    else:
        filters, groups = given.whole("filters"), given.whole("groups", 1)
        if channels % groups or filters % groups:
            raise given.wrong(f"has {groups} groups for {channels} channels and {filters} filters")
        kernels = (("kernel", (*size, channels // groups, filters)),)
        work = area * channels // groups * filters
    weights = (*kernels, *bias(given, filters))
    return Cost((*places, filters), weights, math.prod(places) * work, hidden)


def transposed(given: Given, shape: Shape) -> Cost:
    """Of a transposed convolution."""
    *extents, channels = a_map(given, shape)
    size, strides = given.pair("kernel_size"), given.pair("strides")
    if given.pair("dilation_rate") != (1, 1) or given.settings.get("output_padding") is not None:
        raise given.wrong("has dilation_rate or output_padding, which are not known here")
    padding = given.settings.get("padding", "valid")
    if padding not in {"same", "valid"}:
        raise given.wrong(f"has padding {str(padding)[:40]}")
    filters = given.whole("filters")
    places = [
        extent * stride + (0 if padding == "same" else max(window - stride, 0))
        for extent, window, stride in zip(extents, size, strides, strict=True)
    ]
    weights = (("kernel", (*size, filters, channels)), *bias(given, filters))
    work = math.prod(extents) * math.prod(size) * channels * filters
    return Cost((*places, filters), weights, work)


def pooled(given: Given, shape: Shape) -> Cost:
    """Of pooling by windows."""
    *extents, channels = a_map(given, shape)
    size = given.pair("pool_size", 2)
    strides = given.pair("strides", list(size))
    places = _windows(given, tuple(extents), size, strides, (1, 1))
    return Cost((*places, channels), (), math.prod(places) * channels * math.prod(size))


def padded(given: Given, shape: Shape) -> Cost:
    """Of padding by zeros, or of cropping."""
    height, width, channels = a_map(given, shape)
    sign, key = (1, "padding") if given.kind == "ZeroPadding2D" else (-1, "cropping")
    rows, columns = given.ranges(key)
    places = height + sign * sum(rows), width + sign * sum(columns)
    if min(places) < 1:
        raise given.wrong(f"leaves nothing of a map of {height} x {width}")
    return Cost((*places, channels))


def resized(given: Given, shape: Shape) -> Cost:
    """Of a layer that makes a map larger or smaller."""
    height, width, channels = a_map(given, shape)
    if given.kind == "UpSampling2D":
        rows, columns = given.pair("size", 2)
        return Cost((height * rows, width * columns, channels))
    return Cost((given.whole("height"), given.whole("width"), channels))
