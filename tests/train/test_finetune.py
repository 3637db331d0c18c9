"""A bundle is fine-tuned on its owner's people, and what is said of it holds for photos that were not learnt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from attribute_bundles import write_bundle
from likeness.bundle import PACKAGED, Bundle
from likeness.data.dataset import Dataset
from likeness.errors import Conflict, ModelError
from likeness.evaluate.dataset import embed_dataset
from likeness.settings import Settings
from likeness.train.checkpoint import load_trained
from likeness.train.finetune import FineTuned, Places, fine_tune, fitted_recipe
from likeness.train.recipe import Recipe, load_recipe


class Stopped(BaseException):
    """Ends a training as abruptly as an exception can."""


@contextmanager
def watch(what: str) -> Iterator[object]:
    yield lambda done, total: None


def recipe() -> Recipe:
    return load_recipe("fine-tune", ["loop.epochs=1", "data.workers=0", "data.batch_size=8"])


def old() -> Bundle:
    return Bundle.read(PACKAGED / "dlib-resnet-int8")


def places(folder: Path) -> Places:
    return Places(run=folder / "run", target=folder / "mine", cache=folder / "cache")


def tuned(
    photos: Path,
    folder: Path,
    *,
    base: Bundle | None = None,
    watching: object = watch,
    say: Callable[[str], None] = lambda text: None,
    fresh: bool = False,
) -> FineTuned:
    return fine_tune(
        base or old(),
        photos,
        recipe(),
        places(folder),
        settings=Settings.load(),
        say=say,
        watch=watching,
        fresh=fresh,
    )


@pytest.fixture(scope="module")
def photos(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten people with five photos each, the fifth in another light."""
    folder = tmp_path_factory.mktemp("own") / "people"
    for person in sorted(each for each in (samples / "people").iterdir() if each.is_dir())[:10]:
        (folder / person.name).mkdir(parents=True)
        shots = [Image.open(path).convert("RGB") for path in sorted(person.glob("*.jpg"))]
        for number, shot in enumerate([*shots, ImageEnhance.Brightness(shots[0]).enhance(0.7)]):
            shot.save(folder / person.name / f"{number}.jpg")
    return folder


@pytest.fixture(scope="module")
def done(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FineTuned, Path]:
    folder = tmp_path_factory.mktemp("tuned")
    return tuned(photos, folder), folder


@pytest.mark.slow
def test_held_photos_were_not_learnt_and_the_verdict_is_on_them(done):
    found, folder = done
    dataset = Dataset.read(folder / "run" / "data")
    held, people = set(found.run.held), set(found.run.people)
    assert len(held) == found.held.probes == 16, "two of each of eight people"
    assert len(people) == found.held.people == 8
    assert found.run.data.photos == 8 * 3
    strangers = {row.identity for row in dataset.of_split("validation")}
    assert not strangers & people
    assert found.others.people == len(strangers) == 2


@pytest.mark.slow
def test_the_verdicts_figures_are_those_of_the_two_bundles(done, tmp_path):
    found, folder = done
    dataset = Dataset.read(folder / "run" / "data")
    mine = [row for row in dataset.rows if row.identity in set(found.run.people)]
    held = np.array([row.path in set(found.run.held) for row in mine])
    names = np.array([row.identity for row in mine])
    for bundle, standing in ((old(), found.held.old), (found.bundle, found.held.new)):
        vectors = embed_dataset(bundle, dataset, mine, tmp_path, lambda done, total: None).vectors
        nearest = (vectors[held] @ vectors[~held].T).argmax(axis=1)
        assert (names[~held][nearest] == names[held]).mean() == pytest.approx(standing.rank_1)


@pytest.mark.slow
def test_what_is_said_is_kept_beside_the_training(done):
    found, folder = done
    kept = json.loads((folder / "run" / "verdict.json").read_text())
    assert kept["verdict"] == found.held.word
    assert kept["held_photos"]["probes"] == 16
    found.bundle.verify()
    assert found.bundle.manifest.embedding.space != old().manifest.embedding.space
    licence, base = found.bundle.manifest.licence, old().manifest.licence
    assert licence.weights == f"trained on your own photos; derived from: {base.weights}"
    assert base.data in licence.data
    assert licence.commercial is None, "a yes of the base says nothing of one's own photos"


@pytest.mark.slow
def test_a_fine_tuning_that_is_stopped_goes_on_to_the_same_network(done, photos, tmp_path):
    found, folder = done
    shutil.copytree(folder / "run" / "data", tmp_path / "run" / "data")  # the same photos are not cropped again

    @contextmanager
    def stopping(what: str) -> Iterator[object]:
        def told(done: int, total: int) -> None:
            if what == "training" and done == 2:
                raise Stopped

        yield told

    with pytest.raises(Stopped):
        tuned(photos, tmp_path, watching=stopping)
    assert not (tmp_path / "mine").exists()
    with pytest.raises(Stopped):  # when it is trained: the same weights would be exported to the same file
        tuned(photos, tmp_path, say=_stop_at_export)
    again = load_trained(tmp_path / "run")
    assert again.run.epochs == found.run.epochs
    ours, theirs = again.network.state_dict(), load_trained(folder / "run").network.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def _stop_at_export(text: str) -> None:
    if text.startswith("Exporting"):
        raise Stopped


@pytest.mark.slow
def test_a_bundle_of_that_name_which_is_not_this_trainings_is_left_alone(photos, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(Conflict, match="mine"):
        tuned(photos, tmp_path)
    assert not (tmp_path / "run").exists(), "known before the work"


def test_a_recipe_that_trains_a_network_of_its_own_is_refused():
    with pytest.raises(ModelError, match="softmax-resnet50"):
        fitted_recipe(load_recipe("softmax-resnet50"), old())


def test_the_recipe_takes_side_and_dimension_of_the_bundle():
    fitted = fitted_recipe(recipe(), old())
    assert (fitted.network.side_px, fitted.network.dimension) == (150, 128)


def test_a_detector_cannot_be_fine_tuned():
    with pytest.raises(ModelError, match="mtcnn is no embedder"):
        fitted_recipe(recipe(), Bundle.read(PACKAGED / "mtcnn"))


def test_a_bundle_that_tells_age_and_gender_is_said_to_lose_them(samples, tmp_path):
    told: list[str] = []
    base = write_bundle(tmp_path / "tells", role="embedder", side_px=150)
    with pytest.raises(Stopped):
        tuned(samples / "people", tmp_path, base=base, watching=_stop_at_once, say=told.append)
    assert any("tells age and gender too" in text for text in told)
    told.clear()
    with pytest.raises(Stopped):
        tuned(samples / "people", tmp_path / "again", watching=_stop_at_once, say=told.append)
    assert not told


def test_beginning_anew_deletes_no_folder_that_holds_no_training(samples, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("dear diary")
    with pytest.raises(Stopped):
        tuned(samples / "people", tmp_path, fresh=True, watching=_stop_at_once)
    assert (tmp_path / "run" / "letter.txt").read_text() == "dear diary"


@contextmanager
def _stop_at_once(what: str) -> Iterator[object]:
    raise Stopped
    yield
