"""Operations that a functional network calls as if they were layers: `x * gate`, `x / 255`.

Squeeze and excitation, CBAM and `preprocess_input` within a network are written so. Keras 3 keeps
them as operations, Keras 2 as `TFOpLambda` with the name of TensorFlow's function. Only those that
stand here are run, and none of them as code: each is an operation of Keras 3's on tensors and
numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from app.xray.checkpoint.architecture.graph import Ref
from app.xray.errors import CheckpointRefused

if TYPE_CHECKING:
    from collections.abc import Callable

BINARY: Final = frozenset("add subtract multiply divide maximum minimum".split())
REDUCING: Final = frozenset("mean max min sum".split())
UNARY: Final = frozenset("abs negative relu relu6 sigmoid silu softmax sqrt square tanh".split())
SHAPING: Final = frozenset("concatenate expand_dims getitem squeeze".split())
OPERATORS: Final = BINARY | REDUCING | UNARY | SHAPING
_KERAS_3: Final = dict(
    pair.split("=")
    for pair in """
    Absolute=abs Abs=abs Add=add Concatenate=concatenate Cast=cast Divide=divide
    ExpandDims=expand_dims GetItem=getitem Max=max Maximum=maximum Mean=mean Min=min
    Minimum=minimum Multiply=multiply Negative=negative ReLU=relu Relu=relu Relu6=relu6
    Reshape=reshape Sigmoid=sigmoid Silu=silu Softmax=softmax Sqrt=sqrt Square=square
    Squeeze=squeeze Subtract=subtract Sum=sum Tanh=tanh TrueDivide=divide
    """.split()
)
"""Classes of operations, where they are no layers of the same name."""
_TENSORFLOW: Final = dict(
    pair.split("=")
    for pair in """
    __operators__.add=add __operators__.getitem=getitem cast=cast compat.v1.nn.softmax=softmax
    concat=concatenate expand_dims=expand_dims identity=cast math.abs=abs math.add=add
    math.divide=divide math.maximum=maximum math.minimum=minimum math.multiply=multiply
    math.negative=negative math.reduce_max=max math.reduce_mean=mean math.reduce_min=min
    math.reduce_sum=sum math.sigmoid=sigmoid math.sqrt=sqrt math.square=square
    math.subtract=subtract math.tanh=tanh math.truediv=divide nn.bias_add=add nn.relu=relu
    nn.relu6=relu6 nn.sigmoid=sigmoid nn.silu=silu nn.softmax=softmax nn.swish=silu nn.tanh=tanh
    reshape=reshape squeeze=squeeze stop_gradient=cast
    """.split()
)
TENSORFLOW_CLASSES: Final = frozenset({"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"})
_SECOND: Final = ("y", "x2", "bias", "b")
_IGNORED: Final = frozenset({"dtype", "name", "training", "data_format", "out_type"})


class Operation(NamedTuple):
    """A kind of layer or operator, its settings, and what it takes."""

    kind: str
    settings: dict[str, Any]
    operands: tuple[Any, ...]


def is_operation(class_name: Any, config: dict[str, Any]) -> bool:
    """Whether a configuration is that of an operation; a layer's says if it is trainable."""
    return class_name in TENSORFLOW_CLASSES or (
        class_name in _KERAS_3 and "trainable" not in config
    )


def operator_of(class_name: str, config: dict[str, Any], name: str) -> str:
    """Which operation it is; "cast" for those that change no number.

    Raises:
        CheckpointRefused: one that is not run; names TensorFlow's function.
    """
    if class_name not in TENSORFLOW_CLASSES:
        return _KERAS_3[class_name]
    function = config.get("function")
    if isinstance(function, str) and function in _TENSORFLOW:
        return _TENSORFLOW[function]
    what = f"of tf.{function[:60]}" if isinstance(function, str) else "of an operation"
    raise CheckpointRefused(
        f"layer {name!r} is or holds a {class_name} {what}, which is not run here; write it with "
        "Keras' layers"
    )


def operation(
    operator: str, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any], name: str
) -> Operation | None:
    """`operator` called with `args` and `kwargs`, of which tensors are `Ref`s.

    None where it gives what it takes.

    Raises:
        CheckpointRefused: it is called in a way that is not known here.
    """
    settings = {key: value for key, value in config.items() if key in _SETTINGS.get(operator, ())}
    rest = {key: value for key, value in kwargs.items() if key not in _IGNORED}
    if not args:  # the first may be named, too
        args = [rest.pop(key) for key in ("x", "x1", "input", "inputs", "values") if key in rest]
    if operator in BINARY:
        args = [*args, *(rest.pop(key) for key in _SECOND if key in rest)]
        if len(args) != 2:
            raise _unknown(name, f"takes {len(args)} operands")
        made = _checked(Operation(operator, {}, tuple(args)), rest, name)
        return _rescaling(operator, *args) or made
    for key in _SETTINGS.get(operator, ()):
        if key in rest:
            settings[key] = rest.pop(key)
    if operator == "cast":
        return _checked(None, rest, name)
    if operator == "concatenate":
        (parts, *more) = args
        if more:
            settings["axis"] = more.pop(0)
        parts = parts if isinstance(parts, list) else [parts]
        return _checked(
            Operation(operator, {"axis": settings.get("axis", -1)}, tuple(parts)), rest, name
        )
    if operator == "getitem":
        spec = settings.pop("slice_spec", None) or args[1]
        return _checked(
            Operation(operator, {"slices": _slices(spec, name)}, (args[0],)), rest, name
        )
    names = _SETTINGS.get(operator, ())
    settings |= dict(zip(names, args[1:], strict=False))
    if operator == "reshape":
        shape = settings.get("shape", settings.get("newshape"))
        first, *others = shape if isinstance(shape, list) and shape else (0,)
        if first not in (-1, None) or -1 in others:
            raise _unknown(name, "reshapes what it takes over the batch")
        return _checked(Operation("Reshape", {"target_shape": others}, (args[0],)), rest, name)
    if operator == "relu":
        return _checked(Operation("ReLU", settings, (args[0],)), rest, name)
    return _checked(Operation(operator, settings, (args[0],)), rest, name)


def _rescaling(operator: str, first: Any, second: Any) -> Operation | None:
    """The layer that computes it where one side is a number, or one for each channel."""
    is_second = isinstance(second, Ref)
    number, tensor = (first, second) if is_second else (second, first)
    if isinstance(number, Ref) or operator in {"maximum", "minimum"}:
        return None
    if operator == "divide" and not is_second:
        if 0 in _flat(number):
            return None
        return Operation("Rescaling", {"scale": _each(number, lambda x: 1 / x)}, (tensor,))
    if operator == "subtract":
        settings = (
            {"scale": -1.0, "offset": number}
            if is_second
            else {"scale": 1.0, "offset": _each(number, lambda x: -x)}
        )
        return Operation("Rescaling", settings, (tensor,))
    if operator == "add":
        return Operation("Rescaling", {"scale": 1.0, "offset": number}, (tensor,))
    return Operation("Rescaling", {"scale": number}, (tensor,)) if operator == "multiply" else None


def _flat(number: Any) -> list[Any]:
    return (
        [inner for item in number for inner in _flat(item)]
        if isinstance(number, list)
        else [number]
    )


def _each(number: Any, change: Callable[[float], float]) -> Any:
    return [_each(item, change) for item in number] if isinstance(number, list) else change(number)


_SETTINGS: Final = {
    **dict.fromkeys(REDUCING, ("axis", "keepdims")),
    "concatenate": ("axis",),
    "expand_dims": ("axis",),
    "getitem": ("slice_spec",),
    "relu": ("max_value", "negative_slope", "threshold"),
    "reshape": ("shape", "newshape"),
    "softmax": ("axis",),
    "squeeze": ("axis",),
}


def _checked(made: Operation | None, rest: dict[str, Any], name: str) -> Operation | None:
    if said := [key for key, value in rest.items() if value is not None]:
        raise _unknown(name, f"is called with {', '.join(said)[:60]}")
    for operand in made.operands if made else ():
        if not isinstance(operand, Ref) and not _is_number(operand):
            raise _unknown(name, f"takes {str(operand)[:60]}")
    if made and not any(isinstance(operand, Ref) for operand in made.operands):
        raise _unknown(name, "takes no tensor")
    return made


def _is_number(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= 4096 and all(_is_number(item) for item in value)
    return isinstance(value, int | float)


def _slices(spec: Any, name: str) -> list[Any]:
    """One entry for each axis: "..." or [start, stop, step]."""
    found: list[Any] = []
    for item in spec if isinstance(spec, list) else [spec]:
        inner = item.get("config", item) if isinstance(item, dict) else None
        if item == "..." or (isinstance(item, dict) and item.get("class_name") == "__ellipsis__"):
            found.append("...")
        elif isinstance(inner, dict) and inner.keys() >= {"start", "stop", "step"}:
            found.append([inner["start"], inner["stop"], inner["step"]])
        else:
            raise _unknown(name, f"takes the part {str(item)[:60]} of a tensor")
    if not all(item == "..." or all(_is_index(index) for index in item) for item in found):
        raise _unknown(name, "takes a part of a tensor that is not told by numbers")
    return found


def _is_index(value: Any) -> bool:
    return value is None or (isinstance(value, int) and abs(value) < 1 << 31)


def _unknown(name: str, what: str) -> CheckpointRefused:
    return CheckpointRefused(f"layer {name!r} {what}, which is not known here")
