"""A model's configuration, laid open into one list of calls of layers."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any, Final

from app.xray.checkpoint.architecture.graph import PICTURE, Layer, Ref
from app.xray.checkpoint.architecture.members import Declaring, Laid, Member, Model
from app.xray.checkpoint.architecture.nodes import Node, Source
from app.xray.checkpoint.architecture.operators import is_operation, operation, operator_of
from app.xray.errors import CheckpointCorrupt, CheckpointRefused

_MERGING: Final = frozenset("Add Average Concatenate Maximum Minimum Multiply Subtract".split())
_CHANGED_BY_TRAINING: Final = frozenset("BatchNormalization Dropout SpatialDropout2D".split())
_MAX_STEPS: Final = 100_000
"""Of laying open: models may call models that call models."""


class Opening:
    """Lays one model open: notes in `laid` how its layers are called."""

    def __init__(self, laid: Laid, *, is_keras_2: bool) -> None:
        self.laid = laid
        self._is_keras_2 = is_keras_2
        self._steps = 0

    def run(self, model: Model, inputs: list[Ref]) -> list[Ref]:
        """Call `model` on `inputs`; gives its outputs."""
        if model.is_sequential:
            (value,) = inputs
            for member in model.members.values():
                if member.class_name != "InputLayer":
                    (value,) = self._call(member, Node([value], {}))
            return [value]
        return self._run_functional(model, inputs)

    def _run_functional(self, model: Model, inputs: list[Ref]) -> list[Ref]:
        first = {name: self._first_call(model, name) for name in model.members}
        values: dict[Source, Ref] = {}
        waiting: dict[Source, list[tuple[str, int]]] = defaultdict(list)
        missing: dict[tuple[str, int], set[Source]] = {}
        ready: deque[tuple[str, int]] = deque()
        for name, member in model.members.items():
            for index, node in enumerate(member.nodes):
                place = (name, index + first[name])
                missing[place] = set(node.sources())
                for source in missing[place]:
                    waiting[source].append(place)
                if not missing[place]:
                    ready.append(place)

        def fill(source: Source, value: Ref) -> None:
            values[source] = value
            for place in waiting.pop(source, ()):
                missing[place].discard(source)
                if not missing[place]:
                    ready.append(place)

        if len(inputs) != len(model.inputs):
            raise CheckpointCorrupt(
                f"model {model.name[:60]!r} takes {len(model.inputs)} inputs, and "
                f"gets {len(inputs)}"
            )
        for source, value in zip(model.inputs, inputs, strict=True):
            fill(source, value)
        while ready:
            self._step()
            name, index = ready.popleft()
            member = model.members[name]
            node = member.nodes[index - first[name]].filled(values.__getitem__)
            for tensor, value in enumerate(self._call(member, node)):
                fill(Source(name, index, tensor), value)
        if lost := [source.layer for source in model.outputs if source not in values]:
            raise CheckpointCorrupt(f"layer {lost[0][:60]!r} is fed by nothing")
        return [values[source] for source in model.outputs]

    def _first_call(self, model: Model, name: str) -> int:
        """The number of a layer's first call: Keras 2 counts a nested model's making as call 0."""
        member = model.members[name]
        if member.model is None or not member.nodes:
            return 0
        told = {
            source.node
            for other in model.members.values()
            for node in other.nodes
            for source in node.sources()
            if source.layer == name
        } | {source.node for source in model.outputs if source.layer == name}
        if 0 in told:
            return 0
        return 1 if self._is_keras_2 or len(member.nodes) in told else 0

    def _call(self, member: Member, node: Node) -> list[Ref]:
        name = member.name
        if is_operation(member.class_name, member.config) and not member.chain:
            return [self._operate(member, node)]
        if node.kwargs.get("training") is True and self._is_changed(member):
            raise CheckpointRefused(
                f"layer {name[:60]!r} is called with training=True, so that its answers are drawn "
                "at random or hang on the batch; call it without"
            )
        if member.model is not None:
            refs = [ref for arg in node.args for ref in (arg if isinstance(arg, list) else [arg])]
            if not all(isinstance(ref, Ref) for ref in refs):
                raise CheckpointRefused(f"model {name[:60]!r} is called with what is no tensor")
            return self.run(member.model, refs)
        operands = _operands(member, node)
        for index in member.chain:
            operands = (self.laid.call(index, operands),)
        (value,) = operands
        return [value]

    def _operate(self, member: Member, node: Node) -> Ref:
        operator = operator_of(member.class_name, member.config, member.name[:60])
        made = operation(operator, member.config, node.args, node.kwargs, member.name[:60])
        if made is None:
            (value,) = node.args
            if not isinstance(value, Ref):
                raise CheckpointRefused(f"layer {member.name[:60]!r} takes no tensor")
            return value
        layer = self.laid.add(Layer(made.kind, member.name, made.settings))
        return self.laid.call(layer, made.operands)

    def _is_changed(self, member: Member) -> bool:
        if member.model is not None:
            return any(self._is_changed(inner) for inner in member.model.members.values())
        return any(self.laid.layers[index].kind in _CHANGED_BY_TRAINING for index in member.chain)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise CheckpointRefused(f"to lay it open takes more than {_MAX_STEPS:,} steps")


def open_model(item: dict[str, Any], *, is_keras_2: bool) -> tuple[Laid, Ref, Model]:
    """Lay the model `item`, a configuration, open: its calls, and what gives its one output.

    Raises:
        CheckpointRefused: a layer could run code or is not known, and is named.
        CheckpointCorrupt: it has several inputs or outputs.
    """
    declaring = Declaring(is_keras_2=is_keras_2)
    model = declaring.declare(item)
    if not model.is_sequential and (len(model.inputs), len(model.outputs)) != (1, 1):
        raise CheckpointCorrupt(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; one "
            "picture in and one list of classes out is served"
        )
    (output,) = Opening(declaring.laid, is_keras_2=is_keras_2).run(model, [PICTURE])
    return declaring.laid, output, model


def _operands(member: Member, node: Node) -> tuple[Any, ...]:
    kind = member.class_name
    given = [*node.args]
    if kind == "MultiHeadAttention":
        given += [node.kwargs[key] for key in ("query", "value", "key") if key in node.kwargs]
        given = given if len(given) != 2 else [*given, given[1]]
        if node.kwargs.get("attention_mask") is not None or node.kwargs.get(
            "return_attention_scores"
        ):
            raise CheckpointRefused(
                f"layer {member.name[:60]!r} is called with a mask or for its scores"
            )
    elif kind in _MERGING and len(given) == 1 and isinstance(given[0], list):
        given = given[0]
    if not given or not all(isinstance(ref, Ref) for ref in given):
        raise CheckpointRefused(f"layer {member.name[:60]!r} is called with what is no tensor")
    expected = 3 if kind == "MultiHeadAttention" else 1
    if kind not in _MERGING and len(given) != expected:
        raise CheckpointRefused(f"layer {member.name[:60]!r} is called with {len(given)} tensors")
    return tuple(given)
