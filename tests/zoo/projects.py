"""The projects of the zoo: who prepares what how, for which network, and how it was saved."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import cv2
import numpy as np
from PIL import Image

from tests.networks import predict
from tests.zoo import networks
from tests.zoo.pictures import draw_pictures
from tests.zoo.preparing import (
    as_it_is,
    by,
    equalized,
    fitted,
    generator,
    load_img,
    opencv,
    per_image_standardization,
    pillow,
    preprocess_input,
    tensorflow,
)
from tests.zoo.weights import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.zoo.preparing import Prepare

Output = Literal["softmax", "sigmoid-one", "sigmoid", "logits"]
SavedBy = Literal["Keras 2 .h5", "Keras 2 .hdf5", "Keras 2 .keras", "Keras 3 .h5", "Keras 3 .keras"]

TWO: Final = ("NORMAL", "PNEUMONIA")
TURNED: Final = ("PNEUMONIA", "NORMAL")
THREE: Final = ("COVID", "NORMAL", "PNEUMONIA")
FOUR: Final = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
CHEXNET: Final = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia",
    "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening",
    "Hernia",
)  # fmt: skip
SAMPLEWISE: Final = generator(samplewise_center=True, samplewise_std_normalization=True)
BY_255: Final = by(255)
_ACTIVATIONS: Final = {
    "softmax": "softmax",
    "sigmoid-one": "sigmoid",
    "sigmoid": "sigmoid",
    "logits": "linear",
}


@dataclass(frozen=True)
class Project:
    """One project: `prepare` says in words and does in the author's library what he did."""

    name: str
    build: Callable[[Any, networks.Shape, Any], Any]
    side: int
    prepared_by: str
    prepare: Prepare
    classes: tuple[str, ...] = TWO
    output: Output = "softmax"
    saved_by: SavedBy = "Keras 2 .h5"
    channels: int = 3
    refused: str | None = None
    """What the refusal says, where it cannot be adopted from one picture."""
    spread: float = 1.0
    """Times the usual deviation of the logits."""
    kinds: tuple[str, ...] = ("jpg", "png", "png")
    """Of the author's pictures, in turn."""

    @property
    def file_name(self) -> str:
        """Of the checkpoint."""
        return self.name.replace(" ", "-") + self.saved_by.rpartition(" ")[2]

    def pictures(self, folder: Path) -> list[Path]:
        """The author's twelve, in a folder of `folder`: drawn, unless a project has them there."""
        place = folder / "-".join(self.kinds)
        if place.exists():
            return sorted(place.iterdir())
        place.mkdir()
        return draw_pictures(place, self.kinds)

    def make(self, folder: Path, pictures: Sequence[Path]) -> tuple[Path, NDArray[np.float64]]:
        """Draw and save the network; its file, and what the author's program says of `pictures`.

        That is (n, numbers): one number a picture where the output is one sigmoid, and what
        `tf.nn.softmax` makes of logits.
        """
        keras = self._keras()
        seed = sum(map(ord, self.name))
        keras.utils.set_random_seed(seed)
        units = 1 if self.output == "sigmoid-one" else len(self.classes)
        head = keras.layers.Dense(units, activation=_ACTIVATIONS[self.output], name="predictions")
        model = self.build(keras, (self.side, self.side, self.channels), head)
        inputs = np.stack([self.prepare(picture) for picture in pictures])
        settle(keras, model, inputs, seed)
        if self.spread != 1:
            head.set_weights([self.spread * weight for weight in head.get_weights()])
        path = folder / self.file_name
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            model.save(path)
        answers = predict(model, inputs, batch_size=1)
        if self.output == "logits":
            powers = np.exp(answers - answers.max(axis=1, keepdims=True))
            answers = powers / powers.sum(axis=1, keepdims=True)
        return path, answers.astype(np.float64)

    def _keras(self) -> Any:
        if self.saved_by.startswith("Keras 2"):
            import tf_keras

            return tf_keras
        import keras

        return keras


def p(name: str, *rest: Any, **options: Any) -> Project:
    return Project(name, *rest, **options)


@cache
def projects() -> tuple[Project, ...]:
    """All of them, each with a name of its own."""
    gray: dict[str, Any] = {"channels": 1}
    one: dict[str, Any] = {"output": "sigmoid-one"}
    png: dict[str, Any] = {"kinds": ("png",)}
    found = (
        # ImageDataGenerator and flow_from_directory.
        p("CNN 224", networks.plain, 224, "ImageDataGenerator 1/255", load_img(224, BY_255)),
        p("CNN 150 one sigmoid", networks.plain, 150, "ImageDataGenerator 1/255",
          load_img(150, generator(rescale=1 / 255)), **one),
        p("CNN 64 one sigmoid", networks.plain, 64, "ImageDataGenerator 1/255",
          load_img(64, generator(rescale=1 / 255)), **one, saved_by="Keras 3 .h5"),
        p("MobileNet", networks.mobilenet, 224, "ImageDataGenerator 1/255",
          load_img(224, generator(rescale=1 / 255)), THREE),
        p("CNN gray 128", networks.normalized, 128, "ImageDataGenerator 1/255, grayscale",
          load_img(128, generator(rescale=1 / 255), gray=True), **gray, **one),
        p("ResNet50V2 samplewise", networks.resnet50v2, 224, "ImageDataGenerator samplewise",
          load_img(224, SAMPLEWISE)),
        p("CNN samplewise after 1/255", networks.plain, 180, "ImageDataGenerator samplewise, 1/255",
          load_img(180, generator(
              rescale=1 / 255, samplewise_center=True, samplewise_std_normalization=True)), THREE),
        p("CNN samplewise center", networks.normalized, 200, "ImageDataGenerator samplewise_center",
          load_img(200, generator(samplewise_center=True)), TWO),
        p("Xception 299 bilinear", networks.xception, 299,
          "ImageDataGenerator 1/255, bilinear", load_img(299, BY_255, interpolation="bilinear"),
          THREE, saved_by="Keras 2 .hdf5"),
        # preprocess_input.
        p("VGG16 caffe", networks.vgg16, 224, "vgg16.preprocess_input (caffe)",
          load_img(224, preprocess_input("vgg16"))),
        p("ResNet50 caffe BGR", networks.normalized, 224, "resnet50.preprocess_input (caffe)",
          load_img(224, preprocess_input("resnet50")), FOUR),
        p("VGG16 caffe and 1/255", networks.vgg16, 128, "vgg16.preprocess_input and rescale 1/255",
          load_img(128, generator(
              preprocessing_function=preprocess_input("vgg16"), rescale=1 / 255))),
        p("DenseNet121", networks.densenet121, 224, "densenet.preprocess_input (torch)",
          load_img(224, preprocess_input("densenet"))),
        p("DenseNet121 Keras 3", networks.densenet121, 128, "densenet.preprocess_input (torch)",
          load_img(128, preprocess_input("densenet")), THREE, saved_by="Keras 3 .keras"),
        p("CheXNet", networks.densenet121, 224, "densenet.preprocess_input (torch)",
          load_img(224, preprocess_input("densenet")), CHEXNET, "sigmoid"),
        p("InceptionV3 299", networks.inception, 299, "inception_v3.preprocess_input (tf)",
          load_img(299, preprocess_input("inception_v3"))),
        p("Xception 299", networks.xception, 299, "xception.preprocess_input (tf)",
          load_img(299, preprocess_input("xception")), FOUR),
        p("MobileNetV2", networks.nested_mobilenetv2, 160, "mobilenet_v2.preprocess_input (tf)",
          load_img(160, preprocess_input("mobilenet_v2"), interpolation="bicubic")),
        p("MobileNetV2 Keras 3", networks.nested_mobilenetv2, 160,
          "mobilenet_v2.preprocess_input (tf)", load_img(160, preprocess_input("mobilenet_v2")),
          TURNED, saved_by="Keras 3 .keras"),
        # Scaling inside the network.
        p("EfficientNetB0", networks.efficientnetb0, 224, "scaling inside, load_img",
          load_img(224, as_it_is), THREE),
        p("EfficientNetB0 Keras 3", networks.efficientnetb0, 128,
          "scaling inside, image_dataset_from_directory", tensorflow(128, as_it_is), THREE,
          saved_by="Keras 3 .keras", **png),
        p("TensorFlow tutorial", networks.tutorial, 180,
          "Rescaling inside, image_dataset_from_directory", tensorflow(180, as_it_is),
          saved_by="Keras 3 .keras", **png),
        p("TensorFlow tutorial Keras 2", networks.tutorial, 180,
          "Rescaling inside, image_dataset_from_directory", tensorflow(180, as_it_is),
          TWO, "logits", **png),
        p("Rescaling -1 to 1 inside", networks.scaled_inside, 256, "Rescaling inside, OpenCV",
          opencv(256, as_it_is), **one, saved_by="Keras 3 .h5"),
        p("MobileNetV3Small", networks.mobilenetv3, 224, "scaling inside, load_img",
          load_img(224, as_it_is), saved_by="Keras 3 .h5"),
        # Teachable Machine.
        p("Teachable Machine", networks.teachable_machine, 224, "ImageOps.fit, /127.5 - 1",
          fitted(224, by(127.5, 1)), TURNED),
        p("Teachable Machine of 2020", networks.teachable_machine, 224, "ImageOps.fit, /127 - 1",
          fitted(224, by(127, 1)), THREE),
        # OpenCV.
        p("VGG16 OpenCV", networks.vgg16, 224, "cv2.imread (BGR), cv2.resize, /255",
          opencv(224, BY_255)),
        p("CNN gray 150 one sigmoid", networks.normalized, 150, "cv2 gray, cv2.resize, /255",
          opencv(150, BY_255, gray=True), TURNED, **gray, **one),
        p("CNN gray 150 Keras 3", networks.normalized, 150, "cv2 gray, cv2.resize, /255",
          opencv(150, BY_255, gray=True), **gray, **one, saved_by="Keras 3 .keras"),
        p("CNN gray INTER_AREA", networks.normalized, 128, "cv2 gray, INTER_AREA, /255",
          opencv(128, BY_255, gray=True, interpolation=cv2.INTER_AREA), THREE, **gray),
        p("CNN INTER_CUBIC", networks.plain, 100, "cv2 RGB, INTER_CUBIC, /255",
          opencv(100, BY_255, to_rgb=True, interpolation=cv2.INTER_CUBIC)),
        p("CNN INTER_NEAREST", networks.attentive, 200, "cv2 RGB, INTER_NEAREST, /255",
          opencv(200, BY_255, to_rgb=True, interpolation=cv2.INTER_NEAREST), THREE),
        p("CNN INTER_LANCZOS4", networks.plain, 128, "cv2 BGR, INTER_LANCZOS4, /255",
          opencv(128, BY_255, interpolation=cv2.INTER_LANCZOS4), THREE, saved_by="Keras 3 .h5"),
        p("CNN unscaled", networks.normalized, 128, "cv2 RGB, cv2.resize, 0 to 255",
          opencv(128, as_it_is, to_rgb=True), **one),
        p("CNN scaled before resizing", networks.plain, 96, "cv2 RGB, /255, cv2.resize in float",
          opencv(96, BY_255, to_rgb=True, scaled_first=True)),
        # Pillow and TensorFlow by hand.
        p("CNN Pillow bicubic", networks.plain, 128, "Image.resize (bicubic), /255",
          pillow(128, BY_255), FOUR),
        p("CNN Pillow lanczos", networks.attentive, 128, "Image.resize (Lanczos), /127.5 - 1",
          pillow(128, by(127.5, 1), resample=Image.Resampling.LANCZOS), THREE),
        p("CNN Pillow gray", networks.normalized, 64, "Image.resize (bilinear), gray, /255",
          pillow(64, BY_255, resample=Image.Resampling.BILINEAR, mode="L"), TWO, **gray),
        p("CNN tf.data", networks.attentive, 224, "tf.image.resize, /255", tensorflow(224, BY_255),
          THREE, saved_by="Keras 3 .h5", **png),
        p("CNN tf.data nearest", networks.plain, 128, "tf.image.resize (nearest), /255",
          tensorflow(128, BY_255, method="nearest"), THREE, "logits", **png),
        p("CNN tf.data gray", networks.normalized, 180, "tf.image.resize, gray, /255",
          tensorflow(180, BY_255, channels=1), **gray, **one, saved_by="Keras 3 .keras", **png),
        p("CNN per_image_standardization", networks.plain, 128,
          "tf.image.resize, per_image_standardization", tensorflow(128, per_image_standardization),
          THREE, **png),
        p("CNN multi-label", networks.attentive, 128, "ImageDataGenerator 1/255",
          load_img(128, BY_255), ("Effusion", "Edema", "Cardiomegaly"), "sigmoid",
          saved_by="Keras 3 .h5"),
        p("CNN tf.data area", networks.inception, 150, "tf.image.resize (area), /255",
          tensorflow(150, BY_255, method="area"), THREE, saved_by="Keras 3 .h5", **png),
        # What cannot be adopted.
        p("TensorFlow tutorial of JPEG", networks.tutorial, 180, "decoded by TensorFlow's fast DCT",
          tensorflow(180, as_it_is), THREE, refused="no combination"),
        p("CNN after CLAHE", networks.plain, 128, "cv2 CLAHE, /255", equalized(128, BY_255), THREE,
          refused="no combination"),
        p("CNN saturated", networks.plain, 128, "ImageDataGenerator 1/255", load_img(128, BY_255),
          refused="combinations", spread=40.0),
        p("CNN with a Lambda layer", networks.with_a_lambda, 128, "Lambda inside, load_img",
          load_img(128, as_it_is), refused="Lambda"),
        p("CNN featurewise", networks.plain, 128, "ImageDataGenerator featurewise, its mean unsaid",
          load_img(128, by(61.3, 2.17)), THREE, refused="no combination"),
    )  # fmt: skip
    assert len({project.name for project in found}) == len(found)
    return found
