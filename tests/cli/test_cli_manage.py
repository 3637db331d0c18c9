"""The commands that look after people, gallery, models and settings, and how errors end."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from likeness.cli import run
from likeness.errors import GalleryMissing
from likeness.gallery import open_gallery
from likeness.service import People


def test_people_are_listed_and_searched(cli, names):
    assert [line["name"] for line in cli("people", "list", "--json").lines] == names
    assert [line["name"] for line in cli("people", "list", names[0], "--json").lines] == [names[0]]
    assert names[0] in cli("people", "list").out


def test_a_person_is_shown_renamed_and_merged(cli, names):
    assert cli("people", "rename", names[0], "New Name").code == 0
    assert len(cli("people", "show", "New Name", "--json").lines[0]["pictures"]) >= 2
    assert "New Name" in cli("people", "show", "New Name").out
    assert cli("people", "rename", "New Name", names[1]).code == 5
    assert cli("people", "merge", "New Name", names[1]).code == 0
    assert cli("people", "show", "New Name").code == 4


def test_a_profile_is_shown_and_changed(cli, names, tmp_path):
    def shown():
        return cli("people", "profile", names[0], "--json").lines[0]["profile"]

    done = cli("people", "profile", names[0], "--set", "age_years=41", "--set", "likes=tea = good", "--unset", "city")
    assert done.code == 0
    assert (shown()["age_years"], shown()["likes"], "city" in shown()) == (41, "tea = good", False)
    (tmp_path / "card.json").write_text('{"occupation": "baker"}')
    assert cli("people", "profile", names[0], "--from", tmp_path / "card.json", "--set", "a=[1]").code == 0
    assert shown() == {"occupation": "baker", "a": [1]}
    assert "baker" in cli("people", "profile", names[0]).out
    assert "baker" in cli("people", "show", names[0]).out
    assert cli("people", "show", names[0], "--json").lines[0]["profile"] == shown()
    assert cli("audit", "--json").lines[-1]["details"] == {}
    (tmp_path / "card.json").write_text("{}")
    assert cli("people", "profile", names[0], "--from", tmp_path / "card.json").code == 0
    assert "has no profile yet" in cli("people", "profile", names[0]).out


def test_a_profile_that_cannot_be_used_changes_nothing(cli, names, tmp_path):
    before = cli("people", "profile", names[0], "--json").out
    (tmp_path / "card.json").write_text("[]")
    for arguments, code in (
        (["--from", tmp_path / "card.json"], 2),
        (["--from", tmp_path / "none.json"], 2),
        (["--unset", "nothing"], 2),
        (["--set", "nothing"], 2),
        (["--set", "=1"], 2),
    ):
        assert cli("people", "profile", names[0], *arguments).code == code, arguments
    assert cli("people", "profile", names[0], "--json").out == before


def test_forgetting_asks_first_and_says_what_was_erased(cli, names):
    refused = cli("people", "forget", names[0])
    assert (refused.code, "--yes" in refused.err) == (2, True)
    [done] = cli("people", "forget", names[0], "--yes", "--json").lines
    assert done["faces_erased"] >= 2
    assert (done["snapshots_purged"], done["snapshots_not_found"]) == (0, [])
    assert cli("people", "forget", names[0], "--yes").code == 4


def test_wrong_arguments_are_wrong_usage(cli, names):
    assert cli("people", "rename", names[0], "").code == 2
    assert cli("people", "merge", names[0], names[0]).code == 2


@pytest.mark.parametrize("command", [("gallery", "snapshot"), ("people", "export", "{name}")], ids=" ".join)
def test_a_missing_folder_is_named_and_not_made(cli, names, tmp_path, command):
    target = tmp_path / "typo" / "out"
    done = cli(*(word.format(name=names[0]) for word in command), target)
    assert (done.code, str(target.parent) in done.err, target.parent.exists()) == (4, True, False)


def test_nobody_is_forgotten_unless_everybody_named_is_found_and_each_once(cli, names):
    assert cli("people", "forget", names[0], "Nobody Such", "--yes").code == 4
    assert len(cli("people", "list", "--json").lines) == len(names)
    given = (names[0], names[1].upper(), names[1], names[0].lower())
    done = cli("people", "forget", *given, "--yes", "--json")
    assert (done.code, len(done.lines)) == (0, 2)


def test_forgetting_names_snapshots_that_were_moved_and_does_not_count_them(cli, names, tmp_path):
    for name in ("kept", "moved"):
        assert cli("gallery", "snapshot", tmp_path / name).code == 0
    (tmp_path / "moved").rename(tmp_path / "away")
    said = cli("people", "forget", names[0], "--yes").out
    assert "1 snapshot purged, 1 not found" in said
    assert f"not found: {tmp_path / 'moved'}" in said
    assert "out of reach" in said


def test_forgetting_the_expired_forgets_nobody_else(cli, names):
    done = cli("people", "forget", "--expired", "--yes")
    assert (done.code, done.out) == (0, "")
    assert len(cli("people", "list", "--json").lines) == len(names)
    assert cli("people", "forget").code == 2


def test_a_person_is_exported_for_them_to_take_along(cli, names, tmp_path):
    assert cli("people", "export", names[0], tmp_path / "out.zip").code == 0
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert json.loads(archive.read("out/person.json"))["name"] == names[0]
    assert cli("people", "export", names[0], tmp_path / "out.zip").code == 5


def test_the_gallery_is_described_checked_and_copied(cli, names, tmp_path):
    assert cli("gallery", "info", "--json").lines[0]["people"] == len(names)
    assert "embedding space" in cli("gallery", "info").out
    [check] = cli("gallery", "check", "--json").lines
    assert check["ok"]
    assert cli("gallery", "snapshot", tmp_path / "copy").code == 0
    assert cli("gallery", "info", "--gallery", tmp_path / "copy", "--json").lines[0]["people"] == len(names)
    assert cli("gallery", "re-embed", "--json").lines[0]["embedded"] == 0
    assert cli("gallery", "build-index").code == 0


def test_a_damaged_gallery_is_told(cli, gallery_path):
    gallery_path.write_bytes(b"not a gallery" * 100)
    done = cli("people", "list", "--json")
    assert (done.code, done.lines[0]["error"]["code"]) == (7, "gallery_corrupt")


@pytest.fixture
def locked_gallery(gallery_path):
    """The gallery in a folder where only its owner may write, reached by everybody."""
    folder = Path(tempfile.mkdtemp())
    target = folder / "people.gallery"
    target.write_bytes(gallery_path.read_bytes())
    target.chmod(0o644)
    (folder / "empty.toml").touch()
    folder.chmod(0o555)
    yield target
    shutil.rmtree(folder)


def as_nobody(work) -> int:
    """The exit code of `work` in a process of an account without rights; all is imported before."""
    child = os.fork()
    if not child:
        code = 99
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    "command",
    [("gallery", "info"), ("gallery", "check"), ("people", "list"), ("people", "show", "{name}")],
    ids=" ".join,
)
def test_a_gallery_that_may_not_be_written_can_be_read(cli, names, locked_gallery, command):
    words = [word.format(name=names[0]) for word in command]
    arguments = [*words, "--config", str(locked_gallery.with_name("empty.toml")), "--gallery", str(locked_gallery)]
    assert cli(*arguments).code == 0  # this imports what the command needs
    for left in locked_gallery.parent.glob("people.gallery?*"):
        left.unlink()
    assert as_nobody(lambda: run(arguments)) == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_people_are_identified_from_a_gallery_that_may_not_be_written(locked_gallery, recognizer, probe, names):
    faces = recognizer.faces(probe)
    _ = recognizer.calibration

    def work() -> int:
        said: list[str] = []
        gallery = open_gallery(locked_gallery, space=recognizer.space, dimension=recognizer.dimension)
        with People(gallery, recognizer, say=said.append) as people:
            best = recognizer.name(faces, people.gallery)[0].match
        return 0 if best.name == names[0] and "read-only" in said[0] else 1

    assert as_nobody(work) == 0


def test_models_are_listed_shown_and_verified_with_their_licences(cli):
    listed = cli("models", "list", "--json").lines
    in_use = {line["name"]: line for line in listed}["dlib-resnet-int8"]
    assert in_use["licence"]["weights"] == "CC0-1.0"
    assert "licence of the weights" in cli("models", "show", in_use["name"]).out
    assert cli("models", "verify").code == 0
    assert cli("models", "show", "no-such-model").code == 4


def test_a_damaged_model_is_told(cli, recognizer, tmp_path, monkeypatch):
    source = recognizer._embedder_bundle
    folder = tmp_path / "models" / source.manifest.name
    folder.mkdir(parents=True)
    for path in source.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    model = folder / source.manifest.files["model"].path
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    monkeypatch.setenv("LIKENESS_MODELS", str(folder.parent))
    done = cli("models", "verify", "--json")
    assert done.code == 6
    assert {line["name"]: line["state"] for line in done.lines}[source.manifest.name] == "damaged"
    assert cli("doctor").code == 1


def test_every_setting_is_shown_with_value_origin_and_meaning(cli):
    [shown] = cli("settings", "--threads", "1", "--json").lines
    assert shown["threads"] == {"value": 1, "origin": "flag", "description": shown["threads"]["description"]}
    assert shown["gallery"]["origin"] == "LIKENESS_GALLERY"
    assert all(setting["description"] for setting in shown.values())


def test_a_setting_that_cannot_be_used_names_its_origin(cli, monkeypatch):
    monkeypatch.setenv("LIKENESS_THREADS", "many")
    done = cli("settings")
    assert (done.code, "LIKENESS_THREADS" in done.err) == (2, True)


def test_an_empty_path_or_an_unknown_setting_is_said_in_plain_words(cli, monkeypatch, tmp_path):
    done = cli("settings", "--gallery", "")
    assert (done.code, "setting gallery from flag, '': the path is empty" in done.err) == (2, True)
    done = cli("settings", "--config", tmp_path / "none.toml")
    assert (done.code, "does not exist" in done.err, "LIKENESS_CONFIG" in done.err) == (2, True, False)
    monkeypatch.setenv("LIKENESS_BOGUS", "1")
    assert "there is no setting of that name" in cli("settings").err


def test_the_audit_trail_is_shown_without_names(cli, names):
    cli("people", "show", names[0])
    done = cli("audit", "--person", names[0], "--json")
    assert [line["action"] for line in done.lines] == ["enroll", "show"]
    assert not any(name in done.out for name in names)
    assert cli("audit", "--after", done.lines[-1]["id"]).out == ""


def test_the_audit_trail_says_counts_and_the_json_has_all_ids(cli, names, gallery_path):
    with open_gallery(gallery_path, create=False) as gallery:
        ids = [person.id for person in gallery.people()]
        gallery.record("enroll", actor="tests", faces={each: [1, 2] for each in ids}, profiles=ids)
    last = cli("audit").out.splitlines()[-1]
    assert f"faces: {2 * len(names)} of {len(names)} people" in last
    assert last.endswith(f"and {len(names) - 3} more")
    lines = [line["details"]["faces"] for line in cli("audit", "--json").lines]
    assert len(lines[-1]) == len(names)
    assert {each for line in lines[:-1] for each in line} == set(ids)  # what the enrolment of the samples wrote


def test_the_audit_trail_is_verified_and_its_seal_shows_later_whether_it_goes_on(cli, names, gallery_path):
    done = cli("audit", "verify")
    lines = len(cli("audit", "--json").lines)
    assert (done.code, done.out.startswith(f"whole: {lines} lines")) == (0, True)
    seal = cli("audit", "verify", "--json").lines[0]["seal"]
    assert seal in done.out
    cli("people", "show", names[0])
    assert cli("audit", "verify", "--sealed", seal).code == 0
    actor = cli("audit", "--json").lines[-1]["actor"]
    assert [line["action"] for line in cli("audit", "--actor", actor, "--json").lines] == ["show"]
    connection = sqlite3.connect(gallery_path)
    connection.execute("DROP TRIGGER events_are_not_changed")
    connection.execute("UPDATE events SET actor = 'nobody' WHERE id = 1")
    connection.commit()
    connection.close()
    done = cli("audit", "verify")
    assert (done.code, "NOT WHOLE: line 1" in done.out) == (7, True)
    done = cli("audit", "verify", "--sealed", "nonsense")
    assert (done.code, "no seal" in done.err) == (2, True)


def test_a_command_alone_shows_its_help_and_no_error(cli):
    for arguments in ((), ("people",)):
        done = cli(*arguments)
        assert (done.code, done.err.startswith("Usage: likeness"), "error:" in done.err) == (2, True, False)
    assert cli("--json").lines[0]["error"]["code"] == "usage"


def test_an_interrupt_before_the_command_is_there_ends_quietly():
    early = (
        "import sys\n"
        "class Early:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'likeness.cli.lazy':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Early())\n"
        "from likeness.cli import main\n"
    )
    done = subprocess.run([sys.executable, "-c", early], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_errors_are_one_line_with_a_hint_or_one_json_object(shell):
    plain = shell("people", "list")
    assert (plain.code, plain.out) == (GalleryMissing.exit_code, "")
    first, second = plain.err.splitlines()
    assert first.startswith("error: there is no gallery at ")
    assert second.startswith("hint: ")
    as_json = shell("people", "list", "--json")
    assert (as_json.code, as_json.err) == (4, "")
    assert as_json.lines[0]["error"]["code"] == "gallery_missing"


@pytest.mark.parametrize("arguments", [["bogus"], ["enroll"], ["twins", "x.jpg", "-k", "0"], ["--bogus"]], ids=" ".join)
def test_wrong_usage_ends_with_exit_code_2_and_where_help_is(cli, arguments):
    done = cli(*arguments)
    assert (done.code, "--help`" in done.err) == (2, True)
    assert cli(*arguments, "--json").lines[0]["error"]["code"] == "usage"


def test_an_unexpected_error_shows_its_type_and_the_traceback_only_when_asked(cli, monkeypatch):
    import likeness.cli.settings as home

    def fail(value):
        raise RuntimeError("secret")

    monkeypatch.setattr(home, "plain", fail)
    done = cli("settings")
    assert (done.code, "secret" in done.err, "RuntimeError" in done.err, "--debug" in done.err) == (
        1,
        False,
        True,
        True,
    )
    with pytest.raises(RuntimeError, match="secret"):
        cli("settings", "--debug")


def test_a_reader_who_leaves_is_no_error(samples, gallery_path):
    command = [sys.executable, "-c", "from likeness.cli import main; main()", "people", "list", "--json"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | {"LIKENESS_GALLERY": str(gallery_path)},
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_gallery_is_made_before_anybody_is_enrolled(cli, tmp_path):
    made = cli("gallery", "create", "--gallery", tmp_path / "new", "--json").lines[0]
    assert (made["people"], made["faces"], made["dimension"]) == (0, 0, 128)
    assert "it is empty" in cli("gallery", "create", "--gallery", tmp_path / "new").out


def test_the_check_says_what_a_gallery_of_another_size_would_need(cli, gallery_path):
    [told] = cli("gallery", "check", "--faces", 1_000_000, "--sample", 5, "--json").lines
    assert told["forecast"]["faces"] == 1_000_000
    assert 600e6 > told["forecast"]["memory_bytes"] > 128e6
    shown = cli("gallery", "check", "--faces", 1_000_000)
    assert "1,000,000 faces want about" in shown.out
    assert "of memory for searches (usearch-hnsw-i8)" in shown.out


def test_copies_are_listed_and_one_that_is_gone_is_dropped(cli, gallery_path, tmp_path):
    assert "no copy is remembered" in cli("gallery", "snapshots").out
    cli("gallery", "snapshot", tmp_path / "copy")
    assert str(tmp_path / "copy") in cli("gallery", "snapshots").out
    [told] = cli("gallery", "snapshots", "--drop", tmp_path / "copy", "--json").lines
    assert told == {"snapshots": []}
    assert cli("gallery", "snapshots", "--drop", tmp_path / "copy").code == 4
    assert "drop-snapshot" in cli("audit").out
