"""People of other programs come over: face_recognition's pickles, CompreFace's servers and dumps, folders."""

from __future__ import annotations

import importlib.util
import pickle
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

from answering_server import answering
from compreface_server import KEY, OTHER_KEY, Collection, dump

UNIT = np.random.default_rng(7).normal(size=(6, 128))
ENCODINGS = list(1.5 * UNIT / np.linalg.norm(UNIT, axis=1, keepdims=True))


@pytest.fixture
def new(cli, tmp_path, monkeypatch):
    """The command on a gallery that is not there yet."""
    monkeypatch.setenv("LIKENESS_GALLERY", str(tmp_path / "new.gallery"))
    return cli


@pytest.fixture
def photos(samples, names):
    """The bytes of two photos of each of the first two people."""
    folders = [samples / "people" / name.replace(" ", "_") for name in names[:2]]
    return {
        name: [path.read_bytes() for path in sorted(folder.glob("*.jpg"))[:2]]
        for name, folder in zip(names, folders, strict=False)
    }


@pytest.fixture
def collection(photos):
    """A CompreFace collection of those two, one image that was not saved, and a subject without a face."""
    faces = {name: {f"{at}-{name[:2]}": data for at, data in enumerate(given)} for name, given in photos.items()}
    first = next(iter(faces))
    faces[first]["9-none"] = None
    return Collection(faces | {"Nobody Yet": {}})


@pytest.fixture
def server(collection, monkeypatch):
    with answering(collection.answer) as state:
        monkeypatch.setenv("COMPREFACE_API_KEY", KEY)
        yield state


def written(path: Path, held: object) -> Path:
    path.write_bytes(pickle.dumps(held))
    return path


def face_recognition():
    """The real library, which asks a module for its files that newer setuptools no longer have."""
    places = types.ModuleType("pkg_resources")
    places.resource_filename = lambda package, name: str(Path(importlib.util.find_spec(package).origin).parent / name)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if importlib.util.find_spec("pkg_resources") is None:
            patch.setitem(sys.modules, "pkg_resources", places)
        return pytest.importorskip("face_recognition", reason="face_recognition is not installed")


@pytest.mark.slow
def test_people_of_a_real_pickle_are_found_by_our_own_recognizer(new, samples, names, tmp_path):
    library = face_recognition()
    wanted = names[:3]
    encodings = []
    for name in wanted:
        photo = sorted((samples / "people" / name.replace(" ", "_")).glob("*.jpg"))[0]
        pixels = library.load_image_file(photo)
        places = library.face_locations(pixels, number_of_times_to_upsample=0)  # the faces are large: quicker
        encodings += library.face_encodings(pixels, places)[:1]
    assert np.linalg.norm(encodings[0]) > 1.2  # not of unit length
    path = written(tmp_path / "encodings.pickle", {"encodings": encodings, "names": wanted})
    assert new("import", "face-recognition", path).code == 0
    for name in wanted:
        photo = samples / "probes" / f"{name.replace(' ', '_')}_new.jpg"
        (line,) = new("identify", photo, "--json").lines
        best = max(line["answers"], key=lambda answer: answer["similarity"])
        assert (best["decision"], best["person"]["name"]) == ("match", name)


def test_a_second_run_adds_nothing_and_what_cannot_come_says_why(new, tmp_path):
    held = [
        ("Ada", ENCODINGS[0]),
        ("Ada", ENCODINGS[1].tolist()),
        ("Bo", ENCODINGS[0]),  # the same encoding as Ada's
        ("Cy", ENCODINGS[2] * 9),  # of no network's length
        ("Di", np.zeros(512)),
        ("Ed", np.full(128, np.nan)),
        ("", ENCODINGS[3]),
        (7, ENCODINGS[4]),
    ]
    path = written(tmp_path / "known.pickle", held)
    first = new("import", "face-recognition", path, "--json")
    assert first.code == 3
    *outcomes, last = first.lines
    codes = [one.get("error", {}).get("code", one["status"]) for one in outcomes]
    assert codes == [
        "added", "added", "face_of_another", "import_refused", "import_refused", "import_refused", "input_invalid",
        "added",
    ]  # fmt: skip
    assert [one["path"] for one in outcomes[:2]] == ["known.pickle#1", "known.pickle#2"]
    assert (last["summary"]["encodings"], last["summary"]["added"], last["summary"]["refused"]) == (8, 3, 5)
    again = new("import", "face-recognition", path, "--json").lines
    assert [one["status"] for one in again[:-1]].count("duplicate") == 3
    assert {person["name"]: person["faces"] for person in new("people", "list", "--json").lines} == {"7": 1, "Ada": 2}


def test_consent_and_retention_are_stored_and_the_trail_tells_of_the_import(new, tmp_path):
    path = written(tmp_path / "known.pickle", {"Ada": ENCODINGS[:2]})
    done = new("import", "face-recognition", path, "--consent", "signed form", "--retain-until", "2099-01-01")
    assert (done.code, "2 encodings" in done.out) == (0, True)
    (person,) = new("people", "list", "--json").lines
    assert (person["consent"]["basis"], person["retain_until"]) == ("signed form", "2099-01-01")
    actions = [event["action"] for event in new("audit", "--json").lines]
    assert "import" in actions


def test_a_hostile_pickle_is_refused_before_a_gallery_is_made(new, tmp_path):
    path = written(tmp_path / "evil.pickle", {"encodings": [print], "names": ["Ada"]})
    done = new("import", "face-recognition", path)
    assert done.code == 3
    assert "builtins.print" in done.err
    assert not (tmp_path / "new.gallery").exists()


def test_encodings_do_not_go_into_a_gallery_of_another_model(cli, gallery_path, tmp_path):
    import sqlite3

    with sqlite3.connect(gallery_path) as connection:
        connection.execute("UPDATE meta SET value = 'another-space' WHERE key = 'space'")
    connection.close()
    path = written(tmp_path / "known.pickle", {"Ada": ENCODINGS[0]})
    assert cli("import", "face-recognition", path).code == 5


def test_a_face_without_a_picture_is_told_wherever_a_picture_is_wanted(cli, gallery_path, probe, names, tmp_path):
    from likeness.errors import Conflict
    from likeness.gallery import open_gallery
    from likeness.service.reembedding import expect_pictures

    with open_gallery(gallery_path, create=False) as gallery:
        mine = next(gallery.faces(gallery.person(names[0]).id)).embedding.astype(float) * 1.5
    cli("people", "forget", names[0], "--yes")
    cli("import", "face-recognition", written(tmp_path / "known.pickle", {names[0]: mine}))
    assert "but for 1 imported without one" in cli("gallery", "check").out
    (line,) = cli(
        "twins", probe, "-k", "2", "--save-pictures", tmp_path / "out", "--sheet", tmp_path / "sheet.png", "--json"
    ).lines
    first, second = line["twins"]
    assert (first["name"], first["picture"]) == (names[0], None)
    assert Path(second["picture"]).is_file()
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    assert cli("people", "export", names[0], tmp_path / "export").code == 0
    assert list((tmp_path / "export" / "pictures").iterdir()) == []
    with (
        open_gallery(gallery_path, create=False) as gallery,
        pytest.raises(Conflict, match=f"without a picture.* 1, of {names[0]}"),
    ):
        expect_pictures(gallery)


def test_a_compreface_server_s_people_come_over_with_their_pictures(new, server, names, probe):
    done = new("import", "compreface", f"{server.url}/", "--pick", "largest", "--consent", "moved", "--json")
    assert done.code == 3
    *outcomes, last = done.lines
    assert [one["status"] for one in outcomes] == ["added", "added", "refused", "added", "added", "refused"]
    assert "keeps no picture" in outcomes[2]["error"]["message"]
    assert "no face of 'Nobody Yet'" in outcomes[5]["error"]["message"]
    assert last["summary"]["people"] == 2
    (line,) = new("identify", probe, "--json").lines
    assert line["answers"][0]["person"]["name"] == names[0]
    again = new("import", "compreface", server.url, "--pick", "largest", "--json").lines
    assert [one["status"] for one in again[:-1]].count("duplicate") == 4
    assert {asked.headers["x-api-key"] for asked in server.asked} == {KEY}


def test_one_picture_that_the_server_does_not_give_ends_nothing(new, server, collection):
    collection.broken = {next(iter(next(iter(collection.faces.values()))))}
    *outcomes, _ = new("import", "compreface", server.url, "--pick", "largest", "--json").lines
    assert "HTTP 500" in outcomes[0]["error"]["message"]
    assert [one["status"] for one in outcomes].count("added") == 3


def test_a_wrong_key_or_address_is_told_without_the_key(new, server, tmp_path):
    refused = new("import", "compreface", server.url, "--key", "not-the-one")
    assert refused.code == 8
    assert "refuses" in refused.err
    assert "not-the-one" not in refused.err
    assert new("import", "compreface", "http://127.0.0.1:9").code == 8
    assert new("import", "compreface", tmp_path / "none.sql").code == 3
    assert new("import", "compreface", f"{server.url}/some/page").code == 3


def test_no_key_is_wrong_usage(new, server, monkeypatch):
    monkeypatch.delenv("COMPREFACE_API_KEY")
    assert new("import", "compreface", server.url).code == 2
    assert server.asked == []


def test_a_dump_s_people_come_over_from_the_images_in_it(new, collection, names, tmp_path):
    path = tmp_path / "dump.sql"
    path.write_bytes(dump({KEY: collection}))
    done = new("import", "compreface", path, "--pick", "largest", "--json")
    assert done.code == 3
    *outcomes, _ = done.lines
    assert [one["status"] for one in outcomes] == ["added", "added", "refused", "added", "added"]
    assert "'facenet.Calculator'" in outcomes[2]["error"]["message"]
    assert {person["name"] for person in new("people", "list", "--json").lines} == set(names[:2])
    assert new("import", "compreface", path, "--pick", "largest").code == 3


def test_of_a_dump_with_several_services_one_must_be_named(new, collection, photos, names, tmp_path):
    path = tmp_path / "dump.sql"
    other = Collection({"Tab\tand \\slash": {"x1": photos[names[1]][0]}})
    path.write_bytes(dump({KEY: collection, OTHER_KEY: other}, names={KEY: "door", OTHER_KEY: "office"}))
    unnamed = new("import", "compreface", path)
    assert unnamed.code == 2
    assert "door (5 faces), office (1 faces)" in unnamed.err
    assert KEY not in unnamed.err
    assert new("import", "compreface", path, "--service", "garden").code == 2
    *outcomes, _ = new("import", "compreface", path, "--service", "office", "--json").lines
    assert [one["name"] for one in outcomes] == ["Tab\tand \\slash"]  # and refused: no name has a tab in it


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"PGDMP\x01\x0e", "pg_restore", id="PostgreSQL's own format"),
        pytest.param(b"\x1f\x8b\x08", "gunzip", id="packed"),
        pytest.param(b"-- a dump of something else\n", "no table", id="of another database"),
        pytest.param(dump({KEY: Collection({"A": {"x": b"y"}})})[:-20], "ends within", id="cut short"),
        pytest.param(b"", "no table", id="empty"),
    ],
)  # fmt: skip
def test_a_dump_that_cannot_be_read_says_what_to_do(new, content, words, tmp_path):
    path = tmp_path / "dump.sql"
    path.write_bytes(content)
    done = new("import", "compreface", path)
    assert done.code == 3
    assert words in done.err


def test_import_folder_is_enroll(new, samples, names):
    folder = samples / "people"
    done = new(
        "import", "folder", folder / names[0].replace(" ", "_"), "--name", names[0], "--pick", "largest", "--json"
    )
    assert done.code == 0
    assert done.lines[-1]["summary"]["people"] == 1
