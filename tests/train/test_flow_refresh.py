"""Refreshes from the storage to the model in force: published, refused, rolled back, and nothing new."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flow_world import CHANGES, Place

from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.data.exchange import pull as pull_dataset
from likeness.errors import Conflict, PersonNotFound, RunDiffers
from likeness.flows.home import Home
from likeness.flows.order import Tell
from likeness.flows.refresh import forget, refresh, roll_back
from likeness.service import EnrolOptions, find_photos, open_people
from likeness.vision.decode import decode_photo


def enrol(place: Place) -> int:
    """Everybody of the storage into the gallery, by the model that the first refresh begins with."""
    with open_people(place.settings, create=True) as people:
        outcomes = list(
            people.enroll(find_photos([place.storage], named=True), EnrolOptions(pick="largest", gate=False))
        )
    return sum(outcome.status == "added" for outcome in outcomes)


def embedded_by(place: Place, model: str) -> float:
    """The least cosine between what the gallery holds and what a model makes of the same stored pictures."""
    with open_people(place.settings.model_copy(update={"embedder": model})) as people:
        faces = list(people.gallery.faces())
        crops = np.stack([decode_photo(face.crop_jpeg).pixels for face in faces])
        made = people.recognizer.embedder.embed(crops)
    return float(min((made * np.stack([face.embedding for face in faces])).sum(axis=1)))


@pytest.mark.slow
def test_a_refresh_publishes_refuses_and_is_rolled_back(place):
    faces = enrol(place)
    assert faces > 20
    first = expect_published(place, faces)
    expect_nothing_new(place)
    expect_refused_then_published(place, first)
    expect_rolled_back(place, faces)
    expect_forgotten(place)


def expect_published(place: Place, faces: int) -> dict[str, Any]:
    """The first refresh makes the model in force of what lies in the storage."""
    home, settings, said = Home(place.home), place.settings, []
    first = refresh(place.order(), settings, Tell(say=said.append))
    assert first["outcome"] == "published", first["verdict"]
    assert (first["model"], home.state().data) == ("people-1", 1)
    people = [first["data"]["splits"][split]["people"] for split in ("train", "validation", "test")]
    assert people == [4, 2, 2]
    assert not home.work.exists(), "photos of an ended refresh are deleted"
    bundle = settings.library().find("people")
    assert bundle.folder == home.bundle(home.state().model).resolve()
    assert bundle.has("calibration")
    assert first["gallery"]["embedded"] == faces
    assert embedded_by(place, "people") > 0.9999, "the gallery is embedded by the model in force"
    everybody = {path.name for path in place.storage.iterdir()}
    assert not [line for line in said if any(name.partition("_")[0] in line for name in everybody)]
    version = first_version(place)
    assert version.digest == Dataset.read(home.data(1)).digest
    row = version.rows[0]
    assert (place.storage / row.photo).is_file(), "where a photo came from is kept"
    assert row.label("version") == 1
    return first


def first_version(place: Place) -> Dataset:
    """The data of the first refresh, as the hub has it."""
    return pull_dataset(str(place.home / "huggingface"), place.folder / "pulled", revision="v0001")


def expect_nothing_new(place: Place) -> None:
    """Another refresh of the same photos changes nothing."""
    before = place.tree()
    assert refresh(place.order(), place.settings, Tell()) == {"outcome": "nothing new"}
    assert place.tree() == before


def expect_refused_then_published(place: Place, first: dict[str, Any]) -> None:
    """New people: a hurried step is refused, what it set aside is told; an unhurried one is published."""
    home, settings = Home(place.home), place.settings
    bundle, version = settings.library().find("people"), Dataset.read(place.folder / "pulled")
    place.arrive(8, 12)
    (place.storage / "Elias_Mutombwe" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    shutil.copy(next((place.storage / "Clara_Lindqvist").glob("*.jpg")), place.storage / "Elias_Mutombwe" / "copy.jpg")
    hurried = (*CHANGES, "optimiser.learning_rate=0.03")
    worse = refresh(place.order(margin=0.0, budget=0.02, changes=hurried), settings, Tell())
    assert worse["outcome"] == "not better", worse["verdict"]
    assert "forgot" in worse["verdict"]["why"] or "not better" in worse["verdict"]["why"]
    assert settings.library().find("people").folder == bundle.folder
    state = home.state()
    assert (state.data, state.model.name) == (2, "people-1")
    assert worse["data"]["photos"] > first["data"]["photos"]
    old = {row.identity: row.split for row in version.rows}
    now = {row.identity: row.split for row in Dataset.read(home.data(2)).rows}
    assert {name: now[name] for name in old} == old, "nobody changes the split"
    assert len(now) > len(old)
    with (Path(worse["report"]) / "set-aside.csv").open(newline="") as file:
        aside = {line["photo"]: (line["code"], line["reason"]) for line in csv.DictReader(file)}
    assert aside["Elias_Mutombwe/copy.jpg"][0] == "two_names"
    assert aside["Elias_Mutombwe/broken.jpg"][0].startswith("photo_")
    assert (Path(worse["report"]) / "step" / "report.html").is_file()

    expect_nothing_new(place)  # what came to nothing is not tried again

    second = refresh(place.order(again=True), settings, Tell())
    assert (second["outcome"], second["model"]) == ("published", "people-2"), second["verdict"]
    assert settings.library().find("people").manifest.name == "people-2"
    assert embedded_by(place, "people") > 0.9999 > embedded_by(place, str(bundle.folder))


def expect_rolled_back(place: Place, faces: int) -> None:
    """The model before is in force again, and the gallery embedded by it."""
    home, settings = Home(place.home), place.settings
    told = roll_back(home, settings, Tell())
    assert (told["in_force"], told["withdrawn"], told["embedded"]) == ("people-1", "people-2", faces)
    assert settings.library().find("people").manifest.name == "people-1"
    assert embedded_by(place, "people") > 0.9999
    assert refresh(place.order(), settings, Tell()) == {"outcome": "nothing new"}
    with pytest.raises(Conflict, match="no model from before"):
        roll_back(home, settings, Tell())


def expect_forgotten(place: Place) -> None:
    """Somebody whose photos are gone is forgotten in data, memory, models' reports and the hub."""
    home, settings = Home(place.home), place.settings
    rows = Dataset.read(home.data(2)).rows
    name = next(row.identity for row in rows if row.split == "train")
    shutil.rmtree(place.storage / name)
    told = forget(home, name.replace("_", " ").upper())
    assert told["crops"] == sum(row.identity == name for row in rows)
    assert told["remembered"] > 0
    texts = [path.read_bytes() for path in place.home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [text for text in texts if name.encode() in text], "no file names them"
    assert not [path for path in place.home.rglob("*") if name in path.name], "no file is called after them"
    left = pull_dataset(str(place.home / "huggingface"), place.folder / "left", revision="v0002")
    assert {row.identity for row in left.rows} == {row.identity for row in rows} - {name}
    assert refresh(place.order(), settings, Tell()) == {"outcome": "nothing new"}
    with pytest.raises(PersonNotFound):
        forget(home, name)


def test_what_is_not_there_is_not_rolled_back(place):
    with pytest.raises(Conflict, match="no model yet"):
        roll_back(Home(place.home), place.settings, Tell())
    assert not place.home.exists()


def test_a_model_of_the_name_that_is_another_one_stays(place):
    shutil.copytree(place.folder / "models" / "tiny", place.folder / "models" / "people")
    with pytest.raises(Conflict, match="another one"):
        refresh(place.order(), place.settings, Tell())
    assert not place.home.exists()
    assert Bundle.read(place.folder / "models" / "people").manifest.name == "tiny"


def test_too_few_people_wait_until_more_have_come(place):
    for person in sorted(place.storage.iterdir())[2:]:
        shutil.rmtree(person)
    waits = refresh(place.order(), place.settings, Tell())
    assert waits["outcome"] == "data set grown"
    assert "wait" in waits["verdict"]["why"] or "apart" in waits["verdict"]["why"]
    assert json.loads((Path(waits["report"]) / "summary.json").read_text())["outcome"] == "data set grown"
    before = place.tree()
    assert refresh(place.order(), place.settings, Tell()) == {"outcome": "nothing new"}
    assert place.tree() == before


@pytest.mark.slow
def test_people_whom_the_first_model_knows_are_learnt_and_never_measured_on(place):
    """By the shares asked for most of them were to be apart, and the refresh ended in an error each time."""
    known = place.folder / "known"
    for person in sorted(place.storage.iterdir())[:6]:
        (known / person.name).mkdir(parents=True)
        for photo in sorted(person.iterdir())[:2]:
            photo.rename(known / person.name / photo.name)
    done = refresh(place.order(old=known, shares=(0.1, 0.1, 0.8)), place.settings, Tell())
    assert done["outcome"] == "published", done["verdict"]
    rows = Dataset.read(Home(place.home).data(1)).rows
    splits = {row.identity: row.split for row in rows}
    assert {splits.get(path.name, "") for path in known.iterdir()} <= {"train", ""}  # of some too few photos are left
    assert list(splits.values()).count("test") == 2


@pytest.mark.slow
def test_photos_that_the_model_knows_already_end_a_refresh_and_are_not_learnt_again_and_again(place):
    known = place.folder / "known"
    for person in sorted(place.storage.iterdir())[:3]:
        shutil.copytree(person, known / person.name)
    order = place.order(old=known, shares=(0.1, 0.1, 0.8))
    done = refresh(order, place.settings, Tell())
    assert (done["outcome"], done["model"]) == ("data set grown", None)
    assert "known" in done["verdict"]["why"]
    assert refresh(order, place.settings, Tell()) == {"outcome": "nothing new"}


def test_an_unfinished_refresh_goes_on_by_the_same_order_only(place):
    class Stop(BaseException):
        pass

    def stop(point):
        if point == "screen":
            raise Stop

    with pytest.raises(Stop):
        refresh(place.order(), place.settings, Tell(reached=stop))
    assert (place.home / "work" / "photos").is_dir()
    with pytest.raises(RunDiffers, match="other options"):
        refresh(replace(place.order(), recipe="another"), place.settings, Tell())
    with pytest.raises(Conflict, match="not finished"):
        roll_back(Home(place.home), place.settings, Tell())
    with pytest.raises(Stop):
        refresh(replace(place.order(), name="others"), place.settings, Tell(reached=stop), fresh=True)
