from __future__ import annotations

import hashlib
import json
import warnings
from typing import TYPE_CHECKING, NamedTuple

import h5py
import pytest
from PIL import Image

from app.adopt import __main__ as adopt_main
from app.adopt.__main__ import main
from app.adopt.network import Foreign, load
from app.xray.checkpoint import read_checkpoint
from app.xray.contract import ATTRIBUTE
from app.xray.errors import AdoptionError
from benchmarks.rig.corpus.drawing import draw_radiograph, write_dataset
from tests.zoo.pictures import draw_pictures, tint
from tests.zoo.projects import Project, projects
from training.cli import main as train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Adopt = Callable[..., tuple[int, str]]


def project(name: str) -> Project:
    (found,) = [each for each in projects() if each.name == name]
    return found


class Theirs(NamedTuple):
    """A project's file, its pictures, and its author's numbers for them."""

    path: Path
    pictures: Sequence[Path]
    answers: NDArray[np.float64]

    def like(self, index: int, digits: int = 8) -> str:
        numbers = ",".join(f"{number:.{digits}g}" for number in self.answers[index])
        return f"{self.pictures[index]}={numbers}"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    """A gray CNN of 64 pixels, a softmax of two, trained with Pillow's bilinear."""
    folder = tmp_path_factory.mktemp("theirs")
    pictures = draw_pictures(folder)
    path, answers = project("CNN Pillow gray").make(folder, pictures)
    return Theirs(path, pictures, answers)


@pytest.fixture(scope="module")
def foreign(theirs: Theirs) -> Foreign:
    """Their network, loaded once for all that look at the rest of the command."""
    return load(theirs.path, ("NORMAL", "PNEUMONIA"), {})


@pytest.fixture
def adopt(theirs: Theirs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Adopt:
    """Calls `main` for their file; its exit code, and what it said on one line."""

    def call(*arguments: str, classes: str = "NORMAL,PNEUMONIA") -> tuple[int, str]:
        out = str(tmp_path / "mine.h5")
        status = main([str(theirs.path), "--classes", classes, "--out", out, *arguments])
        return status, " ".join(capsys.readouterr().err.split())

    return call


@pytest.fixture
def loaded(foreign: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has `main` take the network that is loaded already."""

    def load_again(path: Path, classes: tuple[str, ...], said: object) -> Foreign:
        contract = foreign.contract.model_copy(update={"classes": classes})
        return Foreign(foreign.ends, contract, foreign._engine)

    monkeypatch.setattr(adopt_main, "load", load_again)


def test_one_picture_makes_a_checkpoint_that_says_how_it_is_fed(
    adopt: Adopt, theirs: Theirs, tmp_path: Path
) -> None:
    before = hashlib.sha256(theirs.path.read_bytes()).hexdigest()

    status, said = adopt("--like", theirs.like(0), classes="Sick,Healthy")

    assert status == 0, said
    contract = read_checkpoint(tmp_path / "mine.h5").contract
    assert contract.classes == ("Sick", "Healthy")
    assert (contract.input_size, contract.channels, contract.output) == (
        (64, 64),
        "gray",
        "softmax",
    )
    assert (contract.resize, contract.scale, contract.offset) == ("bilinear", 1 / 255, 0)
    assert contract.known_answers == ()
    assert not contract.is_calibrated
    assert "size=64 channels=gray scale=1/255 resize=bilinear" in said
    assert hashlib.sha256(theirs.path.read_bytes()).hexdigest() == before


@pytest.mark.usefixtures("loaded")
def test_nothing_of_the_pictures_is_in_the_file(
    adopt: Adopt, theirs: Theirs, tmp_path: Path
) -> None:
    adopt("--like", theirs.like(0))

    written = (tmp_path / "mine.h5").read_bytes()
    assert theirs.pictures[0].stem.encode() not in written
    assert [path.name for path in tmp_path.iterdir()] == ["mine.h5"]
    with h5py.File(tmp_path / "mine.h5") as file:
        contract = json.loads(file.attrs[ATTRIBUTE])
    assert str(round(float(theirs.answers[0][0]), 4)) not in json.dumps(contract)


@pytest.mark.usefixtures("loaded")
def test_what_was_said_outright_is_written(adopt: Adopt, tmp_path: Path) -> None:
    status, said = adopt("--input", "scale=1/127.5 offset=-1 resize=area-opencv")

    assert status == 0, said
    contract = read_checkpoint(tmp_path / "mine.h5").contract
    assert (contract.resize, contract.scale, contract.offset) == ("area-opencv", 1 / 127.5, -1)


@pytest.mark.usefixtures("loaded")
def test_what_was_said_outright_is_checked_where_there_is_a_picture(
    adopt: Adopt, theirs: Theirs
) -> None:
    wrong = adopt("--input", "scale=1 resize=bilinear", "--like", theirs.like(0))
    right = adopt("--input", "scale=1/255 resize=bilinear crop=none", "--like", theirs.like(0, 4))

    assert wrong[0] == 2
    assert "no combination of" in wrong[1]
    assert right[0] == 0, right[1]


@pytest.mark.usefixtures("loaded")
def test_two_digits_of_one_picture_are_too_few(
    adopt: Adopt, theirs: Theirs, tmp_path: Path
) -> None:
    status, said = adopt("--like", theirs.like(0, 2))

    assert status == 2
    assert "with all the digits that model.predict prints" in said
    assert not (tmp_path / "mine.h5").exists()


@pytest.mark.usefixtures("loaded")
def test_classes_in_another_order_than_the_outputs_are_noticed(
    adopt: Adopt, theirs: Theirs
) -> None:
    turned = ",".join(f"{number:.8g}" for number in theirs.answers[0][::-1])

    status, said = adopt("--like", f"{theirs.pictures[0]}={turned}")

    assert status == 2
    assert "--classes PNEUMONIA,NORMAL?" in said


@pytest.mark.parametrize(
    ("classes", "arguments", "reason"),
    [
        pytest.param("NORMAL", (), "--classes NORMAL: two or more different names", id="one name"),
        pytest.param("A,A", (), "two or more different names", id="a name twice"),
        pytest.param("A,,B", (), "two or more different names", id="an empty name"),
        pytest.param("A,B", (), "not known: resize, scale; give the author's", id="nothing said"),
        pytest.param("A,B", ("--input", "scale=x"), "--input: scale=x: expected a number", id="x"),
        pytest.param("A,B", ("--input", "channels=rgb scale=1 resize=box"),
                     "channels rgb, but the network takes 1", id="color for gray"),
        pytest.param("A,B", ("--like", "nowhere.png=0.1,0.9"), "cannot be read", id="no picture"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("loaded")
def test_what_the_user_must_mend_is_said_in_a_line(
    adopt: Adopt, tmp_path: Path, classes: str, arguments: tuple[str, ...], reason: str
) -> None:
    status, said = adopt(*arguments, classes=classes)

    assert status == 2
    assert said.count("error: ") == 1
    assert reason in said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("classes", "said", "reason"),
    [
        pytest.param("ABC", {}, "so --classes needs 2 names; it has 3", id="too many names"),
        pytest.param("AB", {"input_size": (150, 150)}, "the network takes 64x64", id="its size"),
    ],
)
def test_what_the_file_says_otherwise_is_refused(
    theirs: Theirs, classes: str, said: dict[str, tuple[int, int]], reason: str
) -> None:
    with pytest.raises(AdoptionError, match=reason):
        load(theirs.path, tuple(classes), said)


@pytest.mark.parametrize(
    ("shape", "activation", "said", "reason"),
    [
        pytest.param((32, 32, 3), "relu", {}, "ends in relu, but softmax", id="no probabilities"),
        pytest.param((None, None, 3), "softmax", {}, "say --input size=224", id="an open size"),
        pytest.param((32, 32, 4), "softmax", {}, "neither gray nor color", id="four channels"),
        pytest.param(
            (32, 32, 3), "softmax", {"output": "sigmoid-one"}, "of two classes", id="said"
        ),
    ],
)
def test_a_network_that_is_no_classifier_of_pictures_is_refused(
    tmp_path: Path,
    shape: tuple[int | None, ...],
    activation: str,
    said: dict[str, str],
    reason: str,
) -> None:
    import keras

    layers = keras.layers
    inputs = keras.Input(shape)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(inputs))
    network = keras.Model(inputs, layers.Dense(3, activation=activation)(x))
    network.save(tmp_path / "theirs.keras")

    with pytest.raises(AdoptionError, match=reason):
        load(tmp_path / "theirs.keras", ("A", "B", "C"), said)


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        pytest.param("nowhere/mine.h5", "no such folder", id="no folder"),
        pytest.param(".", "expected another file", id="a folder"),
        pytest.param("theirs.h5", "which stays as is", id="their own file"),
    ],
)
def test_a_bad_place_for_the_result_is_said_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, reason: str
) -> None:
    theirs = tmp_path / "theirs.h5"
    theirs.write_bytes(b"not read")

    assert main([str(theirs), "--classes", "A,B", "--out", str(tmp_path / out)]) == 2
    assert reason in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "no such file", id="missing"),
        pytest.param(b"hello", "not a readable HDF5 file", id="no model"),
    ],
)
def test_a_file_that_is_no_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, reason: str
) -> None:
    theirs = tmp_path / "theirs.h5"
    if content is not None:
        theirs.write_bytes(content)

    status = main([str(theirs), "--classes", "A,B", "--out", str(tmp_path / "mine.h5")])

    assert status == 2
    assert reason in " ".join(capsys.readouterr().err.split())


def test_a_picture_in_color_tells_whether_blue_comes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = project("CNN INTER_LANCZOS4")  # as OpenCV reads files
    pictures = draw_pictures(tmp_path)
    colored = tint(pictures[1], tmp_path / "colored.png")
    path, answers = theirs.make(tmp_path, [*pictures, colored])
    out = tmp_path / "mine.h5"

    def adopt(index: int, picture: Path) -> str:
        numbers = ",".join(f"{number:.8g}" for number in answers[index])
        like = f"{picture}={numbers}"
        classes = ",".join(theirs.classes)
        arguments = [str(path), "--classes", classes, "--out", str(out), "--like", like]
        assert main(arguments) == 0, capsys.readouterr().err
        return read_checkpoint(out).contract.channels

    adopt(1, pictures[1])
    assert "Whether red or blue comes first" in " ".join(read_checkpoint(out).contract.caveats)
    assert adopt(-1, colored) == "bgr"
    assert read_checkpoint(out).contract.caveats == ()


@pytest.mark.usefixtures("loaded")
def test_an_adopted_checkpoint_is_calibrated_as_any_other(
    adopt: Adopt, theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A network of random weights guesses, which is not the point here.
    monkeypatch.setattr("training.evaluation.misfit.refuse_misfit", lambda *_: None)
    gray = {"flat gray": [Image.new("L", (40, 30), level) for level in (0, 90, 255)]}
    monkeypatch.setattr("training.evaluation.gate.folder.strangers", lambda: gray)
    status, said = adopt("--like", theirs.like(0))
    assert status == 0, said
    data = tmp_path / "data"
    write_dataset(data, classes=("NORMAL", "PNEUMONIA"))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        status = train(["calibrate", "--data", str(data), "--model", str(tmp_path / "mine.h5")])

    assert status == 0
    contract = read_checkpoint(tmp_path / "mine.h5").contract
    assert contract.is_calibrated
    assert contract.known_answers
    assert contract.resize == "bilinear"


@pytest.mark.usefixtures("loaded")
def test_a_drawn_film_is_not_what_the_numbers_are_of(
    adopt: Adopt, theirs: Theirs, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "film.png"
    other.parent.mkdir()
    draw_radiograph(99, (700, 500), unlike=0.06).save(other)
    numbers = theirs.like(0).rpartition("=")[2]

    status, said = adopt("--like", f"{other}={numbers}")

    assert status == 2
    assert "no combination of" in said or "by chance" in said or "told apart" in said
