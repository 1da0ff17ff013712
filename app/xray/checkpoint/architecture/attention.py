"""What multi-head attention gives, weighs and costs."""

from __future__ import annotations

from app.xray.checkpoint.architecture.given import Cost, Given, Shape


def attention(given: Given, shapes: list[Shape]) -> Cost:
    """Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2, over one axis of places."""
    if given.kind != "MultiHeadAttention" or len(shapes) != 3:
        raise given.wrong(f"takes {len(shapes)} tensors")
    query, value, key = shapes
    if not all(len(shape) == 2 for shape in shapes) or value[0] != key[0]:
        raise given.wrong(f"takes lists of vectors, and gets {query}, {value}, {key}")
    if given.settings.get("attention_axes") not in (None, [1], (1,), 1):
        raise given.wrong("has attention_axes, which are not known here")
    if given.settings.get("output_shape") is not None:
        raise given.wrong("has an output_shape, which is not known here")
    heads, size = given.whole("num_heads"), given.whole("key_dim")
    depth = given.whole("value_dim", size)
    has_bias = given.flag("use_bias", default=True)
    weights: list[tuple[str, Shape]] = []
    for name, features, width in (
        ("query", query[1], size),
        ("key", key[1], size),
        ("value", value[1], depth),
    ):
        weights.append((f"{name}/kernel", (features, heads, width)))
        weights += [(f"{name}/bias", (heads, width))] * has_bias
    weights.append(("output/kernel", (heads, depth, query[1])))
    weights += [("output/bias", (query[1],))] * has_bias
    scores = heads * query[0] * key[0]
    work = heads * (size + depth) * (query[0] * (query[1] + key[0]) + key[0] * (key[1] + value[1]))
    hidden = 2 * scores + heads * (2 * size + 2 * depth) * max(query[0], key[0])
    return Cost(query, tuple(weights), work, hidden)
