"""Networks as public projects build them, with few filters, drawn at random.

Each builder takes Keras, of either edition, the shape of one input, and the layer that ends it. It
gives a model whose last layer, or the last layer of whose last model, is that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Shape = tuple[int, int, int]


def plain(keras: Any, shape: Shape, head: Any) -> Any:
    """The CNN of most notebooks: three times convolution and pooling, a dense layer."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape),
            *_convolutions(layers, (6, 8, 8)),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.5),
            head,
        ]
    )


def normalized(keras: Any, shape: Shape, head: Any) -> Any:
    """The gray CNN of the pneumonia notebooks: batch normalization and dropout at each step."""
    layers = keras.layers
    steps = []
    for filters in (4, 6, 6, 8, 8):
        steps += [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPool2D(2, padding="same"),
            layers.Dropout(0.2),
        ]
    dense = layers.Dense(16, activation="relu")
    return keras.Sequential([keras.Input(shape), *steps, layers.Flatten(), dense, head])


def tutorial(keras: Any, shape: Shape, head: Any) -> Any:
    """The CNN of TensorFlow's tutorial: augmentation and scaling are its first layers."""
    layers = keras.layers
    augmentation = keras.Sequential(
        [
            keras.Input(shape),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.1),
        ]
    )
    return keras.Sequential(
        [
            augmentation,
            layers.Rescaling(1 / 255),
            *_convolutions(layers, (6, 8, 8)),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling2D(),
            head,
        ]
    )


def scaled_inside(keras: Any, shape: Shape, head: Any) -> Any:
    """A functional CNN that scales to -1 to 1 by itself."""
    layers = keras.layers
    inputs = keras.Input(shape)
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for filters in (6, 8, 8):
        x = layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
    return keras.Model(inputs, head(layers.GlobalMaxPooling2D()(x)))


def vgg16(keras: Any, shape: Shape, head: Any) -> Any:
    """VGG16 (Simonyan and Zisserman 2014): thirteen convolutions, few filters."""
    layers = keras.layers
    inputs = x = keras.Input(shape)
    for block, (filters, count) in enumerate(((4, 2), (6, 2), (8, 3), (8, 3), (8, 3)), start=1):
        for number in range(1, count + 1):
            name = f"block{block}_conv{number}"
            x = layers.Conv2D(
                filters, 3, padding="same", activation="relu", name=name,
                kernel_initializer="he_normal",
            )(x)  # fmt: skip
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, head(layers.Dropout(0.5)(x)))


def resnet50v2(keras: Any, shape: Shape, head: Any) -> Any:
    """ResNet50V2 (He et al. 2016): sixteen blocks of three convolutions, few filters."""
    layers = keras.layers
    inputs = keras.Input(shape)
    x = layers.Conv2D(8, 7, strides=2, padding="same", name="conv1_conv")(inputs)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool1_pool")(x)
    for stage, (filters, count) in enumerate(((4, 3), (4, 4), (6, 6), (8, 3)), start=2):
        for block in range(1, count + 1):
            stride = 2 if block == count and stage < 5 else 1
            x = _preactivated(layers, x, filters, stride, block == 1, f"conv{stage}_block{block}")
    x = layers.BatchNormalization(name="post_bn")(x)
    x = layers.Activation("relu", name="post_relu")(x)
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D(name="avg_pool")(x)))


def densenet121(keras: Any, shape: Shape, head: Any) -> Any:
    """DenseNet121 (Huang et al. 2017), named with slashes in Keras 2; it grows by four."""
    layers = keras.layers
    stem = "conv1/" if keras.__name__ == "tf_keras" else "conv1_"
    inputs = keras.Input(shape)
    x = layers.ZeroPadding2D(3)(inputs)
    x = layers.Conv2D(8, 7, strides=2, use_bias=False, name=f"{stem}conv")(x)
    x = layers.BatchNormalization(epsilon=1.001e-5, name=f"{stem}bn")(x)
    x = layers.Activation("relu", name=f"{stem}relu")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for stage, count in enumerate((6, 12, 24, 16), start=2):
        for block in range(1, count + 1):
            y = x
            for part, (filters, extent) in enumerate(((8, 1), (4, 3))):
                name = f"conv{stage}_block{block}_{part}"
                y = layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_bn")(y)
                y = layers.Activation("relu", name=f"{name}_relu")(y)
                y = layers.Conv2D(
                    filters, extent, padding="same", use_bias=False, name=f"{name}_conv"
                )(y)
            x = layers.Concatenate(name=f"conv{stage}_block{block}_concat")([x, y])
        x = layers.BatchNormalization(epsilon=1.001e-5, name=f"end{stage}_bn")(x)
        x = layers.Activation("relu", name=f"end{stage}_relu")(x)
        if stage < 5:
            x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"pool{stage}_conv")(x)
            x = layers.AveragePooling2D(2, name=f"pool{stage}_pool")(x)
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D(name="avg_pool")(x)))


def efficientnetb0(keras: Any, shape: Shape, head: Any) -> Any:
    """EfficientNetB0 (Tan and Le 2019): sixteen blocks with squeeze and excitation, scaling inside.

    As in `keras.applications` it takes pixels of 0 to 255.
    """
    layers = keras.layers
    inputs = keras.Input(shape)
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Normalization(
        axis=-1, mean=[0.485, 0.456, 0.406], variance=[0.229**2, 0.224**2, 0.225**2]
    )(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.Activation("swish", name="stem_activation")(x)
    stages = ((1, 4, 1, 1), (2, 4, 2, 6), (2, 6, 2, 6), (3, 6, 2, 6), (3, 8, 1, 6), (4, 8, 2, 6),
              (1, 8, 1, 6))  # fmt: skip
    for stage, (count, filters, stride, wider) in enumerate(stages, start=1):
        for block in range(count):
            name = f"block{stage}{'abcd'[block]}"
            x = _inverted(layers, x, filters, 1 if block else stride, wider, name)
    x = layers.Conv2D(16, 1, use_bias=False, name="top_conv")(x)
    x = layers.BatchNormalization(name="top_bn")(x)
    x = layers.Activation("swish", name="top_activation")(x)
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return keras.Model(inputs, head(layers.Dropout(0.2, name="top_dropout")(x)))


def xception(keras: Any, shape: Shape, head: Any) -> Any:
    """Xception's entry flow (Chollet 2017): separable convolutions beside a shortcut."""
    layers = keras.layers
    inputs = keras.Input(shape)
    x = layers.Conv2D(6, 3, strides=2, use_bias=False, name="block1_conv1")(inputs)
    x = layers.BatchNormalization(name="block1_conv1_bn")(x)
    x = layers.Activation("relu", name="block1_conv1_act")(x)
    for block in (2, 3, 4):
        shortcut = layers.Conv2D(8, 1, strides=2, padding="same", use_bias=False)(x)
        shortcut = layers.BatchNormalization()(shortcut)
        x = layers.SeparableConv2D(8, 3, padding="same", name=f"block{block}_sepconv1")(x)
        x = layers.BatchNormalization(name=f"block{block}_sepconv1_bn")(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = layers.add([x, shortcut])
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D()(x)))


def inception(keras: Any, shape: Shape, head: Any) -> Any:
    """Modules of InceptionV3 (Szegedy et al. 2016): four branches each."""
    layers = keras.layers
    inputs = keras.Input(shape)

    def convolve(x: Any, filters: int, extent: int | tuple[int, int], stride: int = 1) -> Any:
        x = layers.Conv2D(filters, extent, strides=stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(scale=False)(x)
        return layers.Activation("relu")(x)

    x = layers.MaxPooling2D(3, strides=2)(convolve(inputs, 6, 3, 2))
    for _ in range(2):
        tall = convolve(convolve(x, 4, (1, 7)), 4, (7, 1))
        wide = convolve(convolve(x, 4, 1), 4, 3)
        pooled = convolve(layers.AveragePooling2D(3, strides=1, padding="same")(x), 4, 1)
        x = layers.concatenate([convolve(x, 4, 1), tall, wide, pooled])
        x = layers.MaxPooling2D(3, strides=2)(x)
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D()(x)))


def attentive(keras: Any, shape: Shape, head: Any) -> Any:
    """A CNN with squeeze and excitation (Hu et al. 2018) written with layers."""
    layers = keras.layers
    inputs = x = keras.Input(shape)
    for filters in (6, 8):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
        weights = layers.GlobalAveragePooling2D()(x)
        weights = layers.Dense(4, activation="relu")(weights)
        weights = layers.Dense(filters, activation="sigmoid")(weights)
        x = layers.Multiply()([x, layers.Reshape((1, 1, filters))(weights)])
        x = layers.MaxPooling2D(2)(x)
    return keras.Model(inputs, head(layers.Flatten()(x)))


def mobilenet(keras: Any, shape: Shape, head: Any) -> Any:
    """Keras' own MobileNet, a quarter as wide, under a head of the functional API."""
    layers = keras.layers
    base = keras.applications.MobileNet(shape, alpha=0.25, include_top=False, weights=None)
    x = layers.GlobalAveragePooling2D()(base.output)
    return keras.Model(base.input, head(layers.Dense(16, activation="relu")(x)))


def nested_mobilenetv2(keras: Any, shape: Shape, head: Any) -> Any:
    """Keras' own MobileNetV2, a third as wide, as the first layer of a Sequential."""
    layers = keras.layers
    base = keras.applications.MobileNetV2(shape, alpha=0.35, include_top=False, weights=None)
    return keras.Sequential([base, layers.GlobalAveragePooling2D(), layers.Dropout(0.2), head])


def mobilenetv3(keras: Any, shape: Shape, head: Any) -> Any:
    """Keras' own MobileNetV3Small, which scales by itself."""
    base = keras.applications.MobileNetV3Small(
        shape, alpha=0.75, minimalistic=True, include_top=False, weights=None, pooling="avg"
    )
    return keras.Model(base.input, head(base.output))


def teachable_machine(keras: Any, shape: Shape, head: Any) -> Any:
    """What Teachable Machine saves: models of models, the head in the last of them."""
    layers = keras.layers
    base = keras.applications.MobileNetV2(shape, alpha=0.35, include_top=False, weights=None)
    features = keras.Sequential([base, layers.GlobalAveragePooling2D()])
    classifier = keras.Sequential(
        [keras.Input((1280,)), layers.Dense(100, activation="relu"), head]
    )
    return keras.Sequential([features, classifier])


def with_a_lambda(keras: Any, shape: Shape, head: Any) -> Any:
    """A network that carries code."""
    layers = keras.layers
    inputs = keras.Input(shape)
    x = layers.Lambda(lambda pixels: pixels / 255)(inputs)
    x = layers.Conv2D(4, 3, strides=4, activation="relu")(x)
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D()(x)))


def _convolutions(layers: Any, filters: Sequence[int]) -> list[Any]:
    return [
        layer
        for count in filters
        for layer in (layers.Conv2D(count, 3, activation="relu"), layers.MaxPooling2D(2))
    ]


def _preactivated(layers: Any, x: Any, filters: int, stride: int, is_first: bool, name: str) -> Any:
    before = layers.BatchNormalization(name=f"{name}_preact_bn")(x)
    before = layers.Activation("relu", name=f"{name}_preact_relu")(before)
    if is_first:
        shortcut = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(before)
    else:
        shortcut = layers.MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    y = before
    for number, step in ((1, 1), (2, stride)):
        extent = 1 if number == 1 else 3
        y = layers.Conv2D(
            filters,
            extent,
            strides=step,
            padding="same",
            use_bias=False,
            name=f"{name}_{number}_conv",
        )(y)
        y = layers.BatchNormalization(name=f"{name}_{number}_bn")(y)
        y = layers.Activation("relu", name=f"{name}_{number}_relu")(y)
    y = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(y)
    return layers.Add(name=f"{name}_out")([shortcut, y])


def _inverted(layers: Any, x: Any, filters: int, stride: int, wider: int, name: str) -> Any:
    inputs, channels = x, x.shape[-1]
    if wider > 1:
        x = layers.Conv2D(channels * wider, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = layers.BatchNormalization(name=f"{name}_expand_bn")(x)
        x = layers.Activation("swish", name=f"{name}_expand_activation")(x)
    x = layers.DepthwiseConv2D(
        3, strides=stride, padding="same", use_bias=False, name=f"{name}_dwconv"
    )(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    x = layers.Activation("swish", name=f"{name}_activation")(x)
    weights = layers.GlobalAveragePooling2D(name=f"{name}_se_squeeze")(x)
    weights = layers.Reshape((1, 1, channels * wider), name=f"{name}_se_reshape")(weights)
    weights = layers.Conv2D(2, 1, activation="swish", name=f"{name}_se_reduce")(weights)
    weights = layers.Conv2D(channels * wider, 1, activation="sigmoid", name=f"{name}_se_expand")(
        weights
    )
    x = layers.multiply([x, weights], name=f"{name}_se_excite")
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_project_bn")(x)
    return layers.add([x, inputs]) if stride == 1 and channels == filters else x
