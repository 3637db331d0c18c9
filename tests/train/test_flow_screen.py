"""What comes into the data set and what is set aside, with the day-one model; and versions on a hub."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flow_world import Place
from PIL import Image, ImageFilter

from hub_server import hub, quiet_library  # noqa: F401
from likeness.data.dataset import Dataset
from likeness.data.exchange import pull as pull_dataset
from likeness.errors import Conflict
from likeness.flows.home import Home
from likeness.flows.order import Tell
from likeness.flows.pull import TAKEN, read_seen
from likeness.flows.refresh import begin, do_part
from likeness.flows.screen import SCREENED
from likeness.flows.work import Work, read_record
from likeness.vision.decode import decode_photo

pytestmark = quiet_library


class Stop(BaseException):
    pass


def stop_at(fatal: str) -> Tell:
    def reached(point: str) -> None:
        if point == fatal:
            raise Stop

    return Tell(reached=reached)


@pytest.mark.slow
def test_photos_that_are_not_what_their_folder_says_are_set_aside_with_reasons(samples, tmp_path):
    place = Place(tmp_path, samples)
    place.arrive(0, 6)
    one, two, three, *_ = sorted(place.storage.iterdir())
    with Image.open(one / "03.jpg") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(two / "stranger.jpg")
    other = place.storage / "Somebody_Else"
    other.mkdir()
    for name in ("02.jpg", "04.jpg"):
        shutil.move(three / name, other / name)
    with Image.open(two / "01.jpg") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).filter(ImageFilter.GaussianBlur(30)).save(two / "blurred.jpg")
    Image.new("RGB", (400, 400), "grey").save(two / "wall.jpg")
    (two / "half.jpg").write_bytes((two / "02.jpg").read_bytes()[:4000])
    Image.new("RGB", (64, 64)).save(place.storage / "nobody.jpg")
    settings = place.settings.model_copy(update={"embedder": "dlib-resnet-int8"})
    assert begin(place.order(), settings, Tell())
    for part in ("pull", "screen"):
        told = do_part(part, place.order(), settings, Tell())
    home = Home(place.home)
    record = read_record(home, place.order())
    seen = {each.path: each for each in read_seen(Work(home, place.order(), settings, Tell(), record), SCREENED)}
    codes = {path: each.outcome for path, each in seen.items()}
    assert codes[f"{two.name}/stranger.jpg"] == "unlike_the_others"
    assert {codes[f"{other.name}/{name}"] for name in ("02.jpg", "04.jpg")} <= {"like_somebody_else", "two_names"}
    assert "like_somebody_else" in codes.values()
    assert codes[f"{two.name}/blurred.jpg"] in {"face_rejected", "no_face"}
    assert codes[f"{two.name}/wall.jpg"] == "no_face"
    assert codes[f"{two.name}/half.jpg"] == "photo_truncated"
    assert codes["nobody.jpg"] == "no_person"
    assert all(each.reason for each in seen.values() if each.outcome != TAKEN)
    dataset = Dataset.read(home.work / "data")
    assert {row.photo for row in dataset.rows} == {path for path, code in codes.items() if code == TAKEN}
    assert len(dataset.rows) == told["accepted"] > 10
    files = {path.relative_to(dataset.folder).as_posix() for path in (dataset.folder / "crops").rglob("*.jpg")}
    assert files == {row.path for row in dataset.rows}, "what is set aside is not kept"
    assert {decode_photo(dataset.path(row)).size_px for row in dataset.rows} == {(150, 150)}


def test_a_version_that_was_pushed_before_a_kill_is_taken_as_pushed(place, hub):  # noqa: F811
    order, settings = place.order(dataset="hf://me/people"), place.settings
    assert begin(order, settings, Tell())
    for part in ("pull", "screen"):
        do_part(part, order, settings, Tell())
    with pytest.raises(Stop):
        do_part("grow", order, settings, stop_at("pushed"))
    assert Home(place.home).state().data == 0
    assert do_part("grow", order, settings, Tell())["version"] == 1
    pulled = pull_dataset("hf://me/people@v0001", place.folder / "pulled")
    assert pulled.digest == Dataset.read(Home(place.home).data(1)).digest

    another = Place(place.folder / "another", place.samples)
    another.arrive(0, 3)
    shutil.copytree(place.folder / "models", another.folder / "models", symlinks=True)
    (Path(another.settings.models) / "people").unlink(missing_ok=True)
    mine = another.order(dataset="hf://me/people")
    assert begin(mine, another.settings, Tell())
    for part in ("pull", "screen"):
        do_part(part, mine, another.settings, Tell())
    with pytest.raises(Conflict, match="tag"):
        do_part("grow", mine, another.settings, Tell())
    assert Home(another.home).state().data == 0
