"""With what a layer was called, as Keras 2 and as Keras 3 write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from app.xray.errors import CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

_CONSTANT: Final = "_CONSTANT_VALUE"
_ARRAYS: Final = frozenset({"__numpy__", "__tensor__"})


class Source(NamedTuple):
    """The output `tensor` of call `node` of the layer `layer`."""

    layer: str
    node: int
    tensor: int


class Node(NamedTuple):
    """One call of a layer: what it takes, in which every tensor is a `Source`."""

    args: list[Any]
    kwargs: dict[str, Any]

    def sources(self) -> Iterator[Source]:
        """Every tensor that it takes."""
        pending: list[Any] = [self.args, list(self.kwargs.values())]
        while pending:
            item = pending.pop()
            if isinstance(item, Source):
                yield item
            elif isinstance(item, list):
                pending += reversed(item)

    def filled(self, value_of: Callable[[Source], Any]) -> Node:
        """The same with what `value_of` gives for each tensor."""

        def fill(item: Any) -> Any:
            if isinstance(item, Source):
                return value_of(item)
            return [fill(inner) for inner in item] if isinstance(item, list) else item

        return Node(fill(self.args), {key: fill(value) for key, value in self.kwargs.items()})


def nodes_of(layer: dict[str, Any], names: Container[str]) -> list[Node]:
    """The calls of a layer of a functional model whose layers have `names`.

    Raises what indexing raises where the configuration is none.
    """
    nodes = layer.get("inbound_nodes") or []
    return [_keras_3(node) if isinstance(node, dict) else _keras_2(node, names) for node in nodes]


def ends_of(ends: Any) -> list[Source]:
    """The inputs or outputs of a functional model: one, a list, or a dictionary of them."""
    if isinstance(ends, dict):
        ends = list(ends.values())
    if ends and isinstance(ends[0], str):
        ends = [ends]
    return [_source(*end[:3]) for end in ends]


def _source(layer: Any, node: Any, tensor: Any) -> Source:
    if not (isinstance(layer, str) and type(node) is int and type(tensor) is int):
        raise ValueError(f"a tensor is called {str([layer, node, tensor])[:80]}")
    return Source(layer, node, tensor)


def _keras_3(node: dict[str, Any]) -> Node:
    args = [_value_3(item) for item in node.get("args") or []]
    return Node(args, {key: _value_3(item) for key, item in (node.get("kwargs") or {}).items()})


def _value_3(item: Any) -> Any:
    if isinstance(item, list):
        return [_value_3(inner) for inner in item]
    if not isinstance(item, dict) or "class_name" not in item:
        return item
    kind, config = item["class_name"], item.get("config")
    if kind == "__keras_tensor__":
        return _source(*item["config"]["keras_history"])
    if kind in _ARRAYS:
        return item["config"]["value"]
    if kind == "__tuple__":
        return [_value_3(inner) for inner in item["items"]]
    if kind in {"__ellipsis__", "__slice__"}:
        return item
    raise CheckpointRefused(
        f"what a layer is called with is or holds a {str(kind)[:60]}: {config}"[:200]
    )


def _keras_2(node: list[Any], names: Container[str]) -> Node:
    """[[name, call, output, {arguments}], ...], or one such alone for an operation.

    The arguments stand with every tensor of a list, the same for all.
    """
    alone = bool(node) and isinstance(node[0], str)
    tensors, kwargs = [], {}
    for item in [node] if alone else node:
        if len(item) > 3 and isinstance(item[3], dict):
            kwargs = item[3]
        tensors.append(_tensor_2(item, names))
    first = tensors[0] if len(tensors) == 1 else tensors
    return Node([first], {key: _value_2(value, names) for key, value in kwargs.items()})


def _tensor_2(item: list[Any], names: Container[str]) -> Any:
    if item[0] == _CONSTANT:
        return _value_2(item[2], names)
    return _source(*item[:3])


def _value_2(item: Any, names: Container[str]) -> Any:
    """An argument: a tensor is [name, call, output]."""
    if not isinstance(item, list):
        return item
    if len(item) >= 3 and isinstance(item[0], str) and item[0] in {_CONSTANT, *_known(item, names)}:
        return _tensor_2(item, names)
    return [_value_2(inner, names) for inner in item]


def _known(item: list[Any], names: Container[str]) -> tuple[str, ...]:
    return (item[0],) if item[0] in names else ()
