from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest
import tf_keras
from pebble import ProcessPool

from app.runtime.children import be_expendable, end
from app.xray.checkpoint import inspect_checkpoint, read_checkpoint
from app.xray.checkpoint.architecture import add_up
from app.xray.contract import ModelContract
from app.xray.errors import CheckpointCorrupt, CheckpointError, CheckpointMissing, CheckpointRefused
from tests.networks import AS_IN_2022, build_tiny, write_tiny_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT_S = 5
MEMORY_BYTES = 1 << 30
"""Little, since libhdf5 takes as much as a text claims to have bytes before it looks for it."""


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copy(tiny_checkpoint, tmp_path / "model.h5")


def rewrite_config(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)


def last_layer(config: dict[str, Any]) -> dict[str, Any]:
    layer: dict[str, Any] = config["config"]["layers"][-1]
    return layer


def test_a_checkpoint_tells_its_name_digest_and_contract(checkpoint: Path) -> None:
    found = read_checkpoint(checkpoint)
    assert found.name == "model"
    assert found.sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert found.contract == ModelContract.recipe_of_2022()
    assert found.carries_contract


def test_without_a_contract_what_is_said_stands_for_it(checkpoint: Path) -> None:
    with h5py.File(checkpoint, "r+") as file:
        del file.attrs["cxr_contract"]
    found = read_checkpoint(checkpoint, classes=["SICK", "WELL", "OTHER"], said=AS_IN_2022)
    assert found.contract == ModelContract.recipe_of_2022(["SICK", "WELL", "OTHER"])
    assert not found.carries_contract


def test_the_contract_in_the_file_goes_before_the_classes_given(checkpoint: Path) -> None:
    found = read_checkpoint(checkpoint, classes=["SICK", "WELL", "OTHER"])
    assert found.contract.classes == ("COVID", "NORMAL", "PNEUMONIA")


def test_the_digest_demanded_may_be_in_capitals(checkpoint: Path) -> None:
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert read_checkpoint(checkpoint, sha256=digest.upper()).sha256 == digest


def test_another_digest_is_refused_before_the_file_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "no-hdf5.h5"
    path.write_bytes(b"not even HDF5")
    with pytest.raises(
        CheckpointRefused, match=r"no-hdf5\.h5: SHA-256 is .* but 0{64} is demanded"
    ):
        read_checkpoint(path, sha256="0" * 64)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match=r"nowhere\.h5: no such file"):
        read_checkpoint(tmp_path / "nowhere.h5")


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(CheckpointMissing, match="cannot be read: Is a directory"):
        read_checkpoint(tmp_path / "folder.h5")


@pytest.mark.parametrize("kept", [0, 100, 5000], ids="{} bytes".format)
def test_a_part_of_a_file_is_corrupt(checkpoint: Path, kept: int) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:kept])
    with pytest.raises(CheckpointCorrupt, match=r"model\.h5: not a readable HDF5 file"):
        read_checkpoint(checkpoint)


def test_weights_without_a_model_are_corrupt_and_the_remedy_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file["kernel"] = [1.0]
    with pytest.raises(CheckpointCorrupt, match="no whole Keras model inside; save it with"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param("{", id="no-json"),
        pytest.param("[]", id="a-list"),
        pytest.param("{}", id="empty"),
        pytest.param(
            '{"class_name": "Functional", "config": {"layers": [{"class_name": []}]}}',
            id="class-name-is-no-name",
        ),
        pytest.param("[" * 100_000, id="nested-too-deep"),
    ],
)
def test_a_configuration_that_is_none_is_corrupt(tmp_path: Path, config: str) -> None:
    path = tmp_path / "model.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_group("model_weights")
        file.attrs["model_config"] = config
    with pytest.raises(CheckpointCorrupt, match="model_config is not one of a Keras model"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "class_name", ["Lambda", "TFOpLambda", "CustomLayer", "TimeDistributed", "TorchModuleWrapper"]
)
def test_a_layer_that_may_run_code_is_refused_by_name(checkpoint: Path, class_name: str) -> None:
    def change(config: dict[str, Any]) -> None:
        last_layer(config)["class_name"] = class_name
        last_layer(config)["config"]["name"] = "the_culprit"

    rewrite_config(checkpoint, change)
    with pytest.raises(CheckpointRefused, match=rf"layer 'the_culprit' .* {class_name}"):
        read_checkpoint(checkpoint)


def test_such_a_layer_is_found_in_a_nested_model_too(checkpoint: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        inner = {"class_name": "Lambda", "config": {"name": "deep_inside"}}
        nested = {"class_name": "Sequential", "config": {"name": "nested", "layers": [inner]}}
        config["config"]["layers"].append(nested)

    rewrite_config(checkpoint, change)
    with pytest.raises(CheckpointRefused, match="deep_inside"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("field", "value"),
    [("module", "os"), ("module", "kerasevil"), ("registered_name", "my_package>Dense")],
    ids=str,
)
def test_a_layer_from_outside_keras_is_refused(checkpoint: Path, field: str, value: str) -> None:
    rewrite_config(checkpoint, lambda config: last_layer(config).update({field: value}))
    with pytest.raises(CheckpointRefused, match=r"layer 'dense\w*' .* not Keras' own"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"class_name": "__lambda__", "config": {"value": "x"}}, id="lambda"),
        pytest.param({"class_name": "function", "config": "system", "module": "os"}, id="function"),
        pytest.param({"class_name": "Zeros", "config": {}, "module": "evil"}, id="module"),
        pytest.param([{"nested": {"class_name": "Lambda", "config": {}}}], id="nested"),
        pytest.param({"class_name": "Lambda"}, id="without-settings"),
    ],
)
def test_an_object_within_a_layer_that_may_run_code_is_refused(
    checkpoint: Path, value: object
) -> None:
    def change(config: dict[str, Any]) -> None:
        last_layer(config)["config"]["activation"] = value

    rewrite_config(checkpoint, change)
    with pytest.raises(CheckpointRefused, match=r"layer 'dense\w*' is or holds"):
        read_checkpoint(checkpoint)


def test_an_object_among_a_layers_inputs_is_refused_too(checkpoint: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        last_layer(config)["inbound_nodes"] = [{"args": [{"class_name": "__lambda__"}]}]

    rewrite_config(checkpoint, change)
    with pytest.raises(CheckpointRefused, match=r"is or holds a __lambda__"):
        read_checkpoint(checkpoint)


def test_a_model_of_another_class_is_refused(checkpoint: Path) -> None:
    rewrite_config(checkpoint, lambda config: config.update(class_name="EvilModel"))
    with pytest.raises(CheckpointRefused, match="a model of class EvilModel is not loaded"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "link", [h5py.ExternalLink("other.h5", "/"), h5py.SoftLink("/model_weights")], ids=repr
)
def test_a_link_is_refused_with_its_place(checkpoint: Path, link: object) -> None:
    with h5py.File(checkpoint, "r+") as file:
        file["model_weights/elsewhere"] = link
    with pytest.raises(CheckpointRefused, match="/model_weights/elsewhere is an external"):
        read_checkpoint(checkpoint)


def test_hard_links_in_a_circle_come_to_an_end(checkpoint: Path) -> None:
    with h5py.File(checkpoint, "r+") as file:
        file["model_weights/circle"] = file["model_weights"]
    assert read_checkpoint(checkpoint).carries_contract


def test_a_named_type_in_the_file_does_no_harm(checkpoint: Path) -> None:
    with h5py.File(checkpoint, "r+") as file:
        file["model_weights/type"] = np.dtype("f4")
    assert read_checkpoint(checkpoint).carries_contract


def test_values_kept_in_another_file_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with h5py.File(checkpoint, "r+") as file:
        file.create_dataset(
            "model_weights/raw", (4,), "f4", external=[(str(tmp_path / "raw"), 0, 16)]
        )
    with pytest.raises(CheckpointRefused, match="/model_weights/raw keeps its values in another"):
        read_checkpoint(checkpoint)


def test_a_shape_larger_than_memory_is_refused(checkpoint: Path) -> None:
    with h5py.File(checkpoint, "r+") as file:
        file.create_dataset("model_weights/huge", (1 << 40,), "f4", chunks=(1 << 10,))
    with pytest.raises(CheckpointRefused, match="/model_weights/huge: more than"):
        read_checkpoint(checkpoint)


def test_a_chunk_larger_than_memory_is_refused_whatever_the_shape(checkpoint: Path) -> None:
    with h5py.File(checkpoint, "r+") as file:
        file.create_dataset(
            "model_weights/huge", (3,), "f4", maxshape=(None,), chunks=(300_000_000,)
        )
    with pytest.raises(CheckpointRefused, match="/model_weights/huge: more than"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("name", ["model", "model.keras", "model.weights.h5", "model.h5.bak"])
def test_names_of_files_say_nothing(name: str, checkpoint: Path) -> None:
    assert read_checkpoint(checkpoint.rename(checkpoint.parent / name)).carries_contract


def test_a_contract_of_a_later_schema_is_refused(checkpoint: Path) -> None:
    with h5py.File(checkpoint, "r+") as file:
        file.attrs["cxr_contract"] = '{"schema_version": 99}'
    with pytest.raises(CheckpointRefused, match=r"model\.h5: the attribute cxr_contract"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "library", [pytest.param(keras, id="keras-3"), pytest.param(tf_keras, id="keras-2")]
)
@pytest.mark.parametrize("form", ["functional", "sequential", "nested", "activation-apart"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
def test_other_ends_than_the_contracts_are_told_from_the_configuration(
    library: Any, form: str, tmp_path: Path
) -> None:
    network = build_tiny(library, classes=4)
    if form == "sequential":
        network = library.Sequential([library.Input((224, 224, 3)), *network.layers[1:]])
    elif form == "nested":
        inputs = library.Input((224, 224, 3))
        network = library.Model(inputs, network(inputs))
    elif form == "activation-apart":
        hidden = library.layers.Dense(4)(network.layers[-2].output)
        outputs = library.layers.Activation("softmax")(library.layers.Dropout(0.1)(hidden))
        network = library.Model(network.input, outputs)
    network.save(tmp_path / "model.h5")
    network = inspect_checkpoint(tmp_path / "model.h5").architecture
    assert network.input_shape == (224, 224, 3)
    assert add_up(network, (224, 224, 3)).shape(network.output, (224, 224, 3)) == (4,)
    found = read_checkpoint(tmp_path / "model.h5", classes="ABCD", said=AS_IN_2022)
    assert not found.carries_contract
    with pytest.raises(CheckpointCorrupt, match=r"gives \(None, 4\), the contract has 3 classes"):
        read_checkpoint(tmp_path / "model.h5", classes="ABC", said=AS_IN_2022)


def test_another_input_than_the_contracts_is_told_from_the_configuration(
    tmp_path: Path, contract: ModelContract
) -> None:
    other = contract.model_copy(update={"input_size": (299, 299)})
    path = write_tiny_checkpoint(tmp_path / "model.h5", other)
    with pytest.raises(
        CheckpointCorrupt, match=r"takes \(None, 224, 224, 3\), the contract says \(None, 299"
    ):
        read_checkpoint(path)


def test_without_a_contract_the_remedy_for_other_classes_is_named(tmp_path: Path) -> None:
    path = write_tiny_checkpoint(tmp_path / "model.h5", network=build_tiny(keras, classes=4))
    with h5py.File(path, "r+") as file:
        del file.attrs["cxr_contract"]
    with pytest.raises(CheckpointCorrupt, match="CXR_CLASSES names the service"):
        read_checkpoint(path, classes="ABC", said=AS_IN_2022)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("units", 10**12),
        ("units", 1e30),
        ("kernel_size", [3, 10**9]),
        ("padding", [[0, 10**7]] * 2),
    ],
    ids=str,
)
def test_a_layer_of_absurd_size_is_refused_by_name(
    checkpoint: Path, name: str, value: object
) -> None:
    kinds = {"kernel_size": "DepthwiseConv2D", "padding": "ZeroPadding2D"}

    def change(config: dict[str, Any]) -> None:
        layer = last_layer(config)
        if name in kinds:
            layer["class_name"] = kinds[name]
            layer["config"] = {"name": layer["config"]["name"], "trainable": True}
            layer["inbound_nodes"] = config["config"]["layers"][1]["inbound_nodes"]
        layer["config"][name] = value

    rewrite_config(checkpoint, change)
    with pytest.raises(
        CheckpointRefused, match=rf"layer 'dense\w*' declares {name} .* up to 65,536"
    ):
        read_checkpoint(checkpoint)


def named(count: int) -> list[dict[str, Any]]:
    return [
        {"class_name": "ReLU", "config": {"name": f"extra_{i}", "trainable": True}}
        for i in range(count)
    ]


def nest(depth: int) -> dict[str, Any]:
    model: dict[str, Any] = {"class_name": "Dense", "config": {"name": "innermost"}}
    for _ in range(depth):
        model = {"class_name": "Sequential", "config": {"name": "outer", "layers": [model]}}
    return model


@pytest.mark.parametrize(
    ("extend", "message"),
    [
        pytest.param(
            lambda layers: layers.extend(named(2_600)),
            "more than 2,500 layers",
            id="layers",
        ),
        pytest.param(
            lambda layers: layers.append(
                {
                    "class_name": "Sequential",
                    "config": {"name": "inner", "layers": named(100)},
                    "inbound_nodes": [layers[-1]["inbound_nodes"][0]] * 200,
                }
            ),
            "more than 15,000 calls of layers",
            id="a-model-that-is-called-over-and-over",
        ),
        pytest.param(
            lambda layers: layers[0]["config"].update(odd=[0] * 1_000_001),
            "lies deeper than .* or has more than 1,000,000 values",
            id="values",
        ),
        pytest.param(
            lambda layers: layers.append(nest(40)), "model_config lies deeper than", id="depth"
        ),
        pytest.param(
            lambda layers: layers[0]["config"].update(name="x" * 5_000_000),
            "model_config has more than 4,194,304 characters",
            id="text",
        ),
    ],
)
def test_a_configuration_without_end_is_refused(
    checkpoint: Path, extend: Callable[[list[Any]], None], message: str
) -> None:
    rewrite_config(checkpoint, lambda config: extend(config["config"]["layers"]))
    with pytest.raises(CheckpointRefused, match=message):
        read_checkpoint(checkpoint)


def test_a_name_without_end_does_not_fill_the_log(checkpoint: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        last_layer(config)["class_name"] = "Evil" * 100_000
        last_layer(config)["config"]["name"] = "x" * 1_000_000

    rewrite_config(checkpoint, change)
    with pytest.raises(CheckpointRefused, match="layer 'xxx") as caught:
        read_checkpoint(checkpoint)
    assert len(str(caught.value)) < 500
    assert "Evil" in str(caught.value)


def test_a_batch_of_fixed_size_is_no_hindrance(checkpoint: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][0]["config"]["batch_shape"][0] = 8

    rewrite_config(checkpoint, change)
    assert read_checkpoint(checkpoint).carries_contract


@pytest.mark.parametrize("name", ["model_config", "cxr_contract"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(7, id="number"),
        pytest.param([1.0, 2.0], id="numbers"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(["{}", "{}"], id="texts"),
        pytest.param(h5py.Empty("f4"), id="nothing"),
        pytest.param("{" + " " * (1 << 24), id="sixteen-megabytes"),
        pytest.param(h5py.Reference(), id="reference"),
    ],
)
def test_an_attribute_that_is_no_text_is_named(checkpoint: Path, name: str, value: object) -> None:
    with h5py.File(checkpoint, "r+", libver="latest") as file:
        del file.attrs[name]
        kind = h5py.ref_dtype if isinstance(value, h5py.Reference) else None
        file.attrs.create(name, value, dtype=kind)
    with pytest.raises((CheckpointCorrupt, CheckpointRefused), match=name):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "kind", [h5py.ref_dtype, h5py.vlen_dtype("i4")], ids=["references", "vlen"]
)
@pytest.mark.parametrize("name", ["model_config", "keras_version", "backend"])
def test_an_attribute_that_stands_for_something_else_is_refused(
    checkpoint: Path, name: str, kind: np.dtype[Any]
) -> None:
    with h5py.File(checkpoint, "r+") as file:
        del file.attrs[name]
        h5py.h5a.create(
            file.id,
            name.encode(),
            h5py.h5t.py_create(kind, logical=True),
            h5py.h5s.create_simple((3,)),
        )
    with pytest.raises(CheckpointRefused, match=f"/: the attribute {name} holds references"):
        read_checkpoint(checkpoint)


def test_names_without_end_are_refused(checkpoint: Path) -> None:
    with h5py.File(checkpoint, "r+", libver="latest") as file:
        file["model_weights"].attrs["odd"] = np.zeros(60_000, "S1")
    with pytest.raises(CheckpointRefused, match="/model_weights: the attribute odd has more than"):
        read_checkpoint(checkpoint)


def test_a_file_larger_than_any_checkpoint_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.h5"
    with path.open("wb") as file:
        file.truncate(1 << 33)  # of nothing: it takes no room
    with pytest.raises(CheckpointRefused, match=r"huge\.h5: more than 4,294,967,296 bytes"):
        read_checkpoint(path)


@pytest.mark.parametrize("version", ["2.15.0", np.bytes_(b"2.2.4")], ids=repr)
def test_the_version_of_keras_2_may_be_text_or_bytes(checkpoint: Path, version: Any) -> None:
    """What Keras 2 calls hard_sigmoid is another function, made of two layers here."""
    rewrite_config(
        checkpoint, lambda config: last_layer(config)["config"].update(activation="hard_sigmoid")
    )
    with h5py.File(checkpoint, "r+") as file:
        file.attrs["keras_version"] = version
    layers = inspect_checkpoint(checkpoint).architecture.layers
    assert [layer.kind for layer in layers[-3:]] == ["Dense", "Rescaling", "ReLU"]


def test_compressed_values_are_refused_and_the_remedy_is_named(checkpoint: Path) -> None:
    with h5py.File(checkpoint, "r+") as file:
        file.create_dataset("model_weights/dense_z", (4,), "f4", compression="gzip")
    with pytest.raises(
        CheckpointRefused, match=r"/model_weights/dense_z is compressed.* `h5repack"
    ):
        read_checkpoint(checkpoint)


def test_an_array_of_texts_is_no_weight(checkpoint: Path) -> None:
    with h5py.File(checkpoint, "r+") as file:
        file["model_weights/words"] = ["a", "b"]
    with pytest.raises(CheckpointRefused, match="/model_weights/words holds object, no numbers"):
        read_checkpoint(checkpoint)


def test_values_that_are_declared_and_not_stored_are_refused(checkpoint: Path) -> None:
    """HDF5 gives zeros for what nobody wrote: gigabytes of weights in a file of kilobytes."""
    with h5py.File(checkpoint, "r+") as file:
        file["model_weights"].create_dataset("large", (1 << 24,), "f4")
    with pytest.raises(
        CheckpointRefused, match="/model_weights/large declares 67,108,864 bytes and stores 0"
    ):
        read_checkpoint(checkpoint)


def test_the_optimizers_state_does_not_count(checkpoint: Path) -> None:
    with h5py.File(checkpoint, "r+") as file:
        slots = file.create_group("optimizer_weights")
        slots.create_dataset("adam", (1 << 30,), "f4")  # of which none is stored
    assert read_checkpoint(checkpoint).carries_contract


def mutate(sound: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, a block zeroed, filled or copied, or the end cut off."""
    data = bytearray(sound)
    for _ in range(rng.integers(1, 4)):
        place, source = rng.integers(0, len(data), 2)
        size = int(rng.choice([1, 2, 4, 8, 64, 512]))
        kind = rng.choice(["bytes", "zeros", "ones", "copy", "cut"], p=[0.4, 0.2, 0.1, 0.2, 0.1])
        if kind == "bytes":
            for other in rng.integers(0, len(data), rng.integers(1, 8)):
                data[other] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)])
        elif kind == "cut":
            del data[max(place, 1) :]
        else:
            block = {"zeros": b"\0" * size, "ones": b"\xff" * size}.get(kind, data[source:][:size])
            data[place : place + size] = block
    return bytes(data)


def test_of_a_file_of_changed_bytes_only_the_checkpoint_is_blamed(checkpoint: Path) -> None:
    """Some send libhdf5 round for ever, or have it ask for more memory than there is."""
    sound = checkpoint.read_bytes()
    rng = np.random.default_rng(0)
    context = multiprocessing.get_context("spawn")
    readers = ProcessPool(1, initializer=partial(be_expendable, MEMORY_BYTES), context=context)
    refused = 0
    try:
        for _ in range(150):
            checkpoint.write_bytes(mutate(sound, rng))
            try:
                readers.schedule(read_checkpoint, [checkpoint], timeout=LIMIT_S).result()
            except (CheckpointError, TimeoutError):
                refused += 1
    finally:
        end(readers)
    assert 15 < refused < 150
