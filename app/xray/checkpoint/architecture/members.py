"""The layers that a model's configuration declares, and with what each was called."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, Final, NamedTuple

from app.xray.checkpoint.architecture.graph import Call, Layer, Ref
from app.xray.checkpoint.architecture.layers import chain_of, kind_of
from app.xray.checkpoint.architecture.nodes import Node, Source, ends_of, nodes_of
from app.xray.checkpoint.architecture.operators import is_operation, operator_of
from app.xray.errors import CheckpointCorrupt, CheckpointRefused

MODELS: Final = frozenset({"Functional", "Model", "Sequential"})
"""The classes whose configuration holds layers."""
_MODULES: Final = frozenset({"keras", "tf_keras", "tensorflow"})
_MAX_LAYERS: Final = 2_500
"""The largest networks of keras.applications have a thousand."""
_MAX_CALLS: Final = 15_000


class Laid(NamedTuple):
    """What is laid out so far."""

    layers: list[Layer]
    calls: list[Call]

    def call(self, layer: int, operands: tuple[Any, ...]) -> Ref:
        """Note one call."""
        if len(self.calls) >= _MAX_CALLS:
            raise CheckpointRefused(f"to build it takes more than {_MAX_CALLS:,} calls of layers")
        self.calls.append(Call(layer, operands))
        return Ref(len(self.calls) - 1)

    def add(self, layer: Layer) -> int:
        """Note one layer."""
        self.layers.append(layer)
        return len(self.layers) - 1


class Member(NamedTuple):
    """One layer, model or operation of a model."""

    name: str
    class_name: str
    config: dict[str, Any]
    model: Model | None
    chain: list[int]
    """Layers called one after the other, for one of the file's."""
    nodes: list[Node]


class Model(NamedTuple):
    """A model as it is declared."""

    name: str
    members: dict[str, Member]
    inputs: list[Source]
    outputs: list[Source]
    is_sequential: bool


class Declaring:
    """Reads configurations of models, and notes their layers in `laid`."""

    def __init__(self, *, is_keras_2: bool) -> None:
        self.laid = Laid([], [])
        self._is_keras_2 = is_keras_2
        self._count = 0

    def declare(
        self, item: dict[str, Any], path: tuple[str, ...] = (), stored: str = "layers"
    ) -> Model:
        """Read a model's configuration, and that of every model within it.

        Raises what indexing raises where it is none.
        """
        is_sequential = item["class_name"] == "Sequential"
        config = item["config"]
        if isinstance(config, list):  # as Keras 2.1 wrote a Sequential
            config = {"name": item.get("name", "sequential"), "layers": config}
        members: dict[str, Member] = {}
        names: set[str] = set()
        counts: dict[str, int] = defaultdict(int)
        for layer in config["layers"]:
            names.add(_name_of(layer))
        for layer in config["layers"]:
            member = self._declare_member(layer, names, counts, path, stored)
            if member.name in members:
                raise CheckpointCorrupt(f"two layers are called {member.name[:60]!r}")
            members[member.name] = member
        return Model(
            str(config.get("name", "")),
            members,
            [] if is_sequential else ends_of(config["input_layers"]),
            [] if is_sequential else ends_of(config["output_layers"]),
            is_sequential,
        )

    def _declare_member(
        self,
        item: dict[str, Any],
        names: set[str],
        counts: dict[str, int],
        path: tuple[str, ...],
        stored: str,
    ) -> Member:
        name, class_name, config = _name_of(item), item["class_name"], item["config"]
        shown = name[:60]
        _refuse_strangers(item, shown)
        self._count += 1
        if self._count > _MAX_LAYERS:
            raise CheckpointRefused(f"more than {_MAX_LAYERS:,} layers")
        nodes = nodes_of(item, names)
        if class_name == "InputLayer":
            return Member(name, class_name, config, None, [], [])
        if class_name not in MODELS and is_operation(class_name, config):
            operator_of(class_name, config, shown)
            return Member(name, class_name, config, None, [], nodes)
        place = f"{stored}/{_numbered(_snake_case(class_name), counts)}"
        where = (*path, name)
        if class_name in MODELS:
            model = self.declare(item, where, f"{place}/layers")
            return Member(name, class_name, {}, model, [], nodes)
        kind = kind_of(class_name, shown)
        trained = config.get("trainable") is not False
        chain = [
            self.laid.add(
                Layer(link, name, settings, () if i else where, "" if i else place, trained)
            )
            for i, (link, settings) in enumerate(
                chain_of(kind, config, shown, is_keras_2=self._is_keras_2)
            )
        ]
        return Member(name, kind, config, None, chain, nodes)


def _name_of(item: dict[str, Any]) -> str:
    config = item["config"]
    name = config.get("name") if isinstance(config, dict) else None
    name = name or item.get("name") or item["class_name"]
    if not isinstance(name, str):
        raise TypeError(f"a layer is called {str(name)[:60]}")
    return name


def _refuse_strangers(item: dict[str, Any], name: str) -> None:
    """Refuse what another module or a registered class would make of it."""
    class_name = item["class_name"]
    module = str(item.get("module") or "keras")
    registered = str(item.get("registered_name") or class_name)
    if (
        module.split(".")[0] not in _MODULES
        or registered.split(">")[-1] != class_name
        or ">" in registered
    ):
        raise CheckpointRefused(
            f"layer {name!r} is or holds what is not Keras' own: {module[:60]}, {registered[:60]}"
        )


def _snake_case(name: str) -> str:
    """As Keras 3 names a layer in a weights file (keras.src.utils.naming.to_snake_case)."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _numbered(name: str, counts: dict[str, int]) -> str:
    """`name`, and "_1" and so on behind it where it comes again."""
    counts[name] += 1
    return name if counts[name] == 1 else f"{name}_{counts[name] - 1}"
