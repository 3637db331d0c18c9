"""Fixtures of trainings: crops of the sample people, hard and tiny data sets of them, a short training, the command."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from continual_world import World, make_world
from flow_world import Place
from varied_people import Said, write_varied

from likeness.bundle import PACKAGED, Bundle
from likeness.cli import run
from likeness.data.crop import crop_dataset, open_cropper
from likeness.data.dataset import Dataset, Facts
from likeness.data.sources import open_source
from likeness.evaluate.calibrate import calibrate_dataset
from likeness.evaluate.calibrated import write_calibrated
from likeness.settings import Settings
from likeness.train.export import export_run
from likeness.train.loop import train
from likeness.train.recipe import load_recipe
from likeness.vision.detect import Detector


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks run no faster on several threads, and other tests want the cores too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def sample_crops(samples: Path, home_of_their_own: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four crops of each of twelve people, as the product makes them."""
    listing = open_source(samples / "people", "folder")
    facts = Facts(name="samples", source="folder", steps=("cropped",))
    out = tmp_path_factory.mktemp("crops") / "samples"
    return crop_dataset(listing.rows, listing.folder, open_cropper(Settings.load()), out, facts=facts).dataset


@pytest.fixture(scope="session")
def hard(sample_crops: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twenty-four photos of each of twelve people, hard to tell apart; eight are to be learnt."""
    return write_varied(sample_crops, tmp_path_factory.mktemp("hard") / "people", of_each=6)


@pytest.fixture(scope="session")
def tiny(sample_crops: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four photos of each, for trainings of which only the course matters."""
    return write_varied(sample_crops, tmp_path_factory.mktemp("tiny") / "people", of_each=1)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs `likeness` with these arguments, in this process."""

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def short(hard: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short training of a classifier; six photos of each person are held back."""
    folder = tmp_path_factory.mktemp("short") / "run"
    recipe = load_recipe("softmax-resnet50", ["loop.epochs=4", "data.hold_photos=6", "data.workers=0"], smoke=True)
    train(hard, recipe, folder)
    return folder


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A small network that knows six people, and batches of new ones."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def detector_teacher() -> Detector:
    """The day-one detector."""
    teacher: Detector = Bundle.read(PACKAGED / "mtcnn").load(threads=1)
    return teacher


@pytest.fixture(scope="session")
def tiny_bundle(short, hard, tmp_path_factory) -> Path:
    """A network that has learnt little of faces, with probabilities that say so."""
    folder = tmp_path_factory.mktemp("tiny-bundle") / "tiny"
    made = export_run(short, folder, dataset=hard, name="tiny", licence="the tests' own").bundle
    write_calibrated(made, calibrate_dataset(made, hard, cache=folder.parent / "cache"), None)
    return folder


@pytest.fixture
def place(tiny_bundle, samples, tmp_path) -> Place:
    """Eight people have arrived; nothing was refreshed yet."""
    shutil.copytree(tiny_bundle, tmp_path / "models" / "tiny")
    made = Place(tmp_path, samples)
    made.arrive(0, 8)
    return made
