"""`likeness gallery migrate`, and the switch in the settings file."""

from __future__ import annotations

import tomllib
from uuid import uuid4

import pytest

from likeness.cli.gallery_migrate import write_setting
from likeness.errors import SettingsError
from likeness.gallery import open_gallery


@pytest.fixture
def target(postgres_database) -> str:
    return f"{postgres_database}&gallery={uuid4().hex}"


def test_a_gallery_is_migrated_and_the_settings_file_names_the_new_one(
    cli, gallery_path, target, names, tmp_path, monkeypatch
):
    monkeypatch.delenv("LIKENESS_GALLERY")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "likeness.toml"
    file.write_text(f'# our own\nfmr = 0.001 # strict\ngallery = "{gallery_path}"\nthreads = 1\n')
    file.chmod(0o600)
    [done] = cli("gallery", "migrate", gallery_path, target, "--switch", "--json").lines
    assert (done["people"], done["switched"]) == (len(names), str(file.relative_to(tmp_path)))
    assert file.read_text() == f'# our own\nfmr = 0.001 # strict\ngallery = "{target}"\nthreads = 1\n'
    assert file.stat().st_mode & 0o777 == 0o600
    [info] = cli("gallery", "info", "--json").lines
    assert (info["engine"], info["people"]) == ("postgresql", len(names))
    told = cli("gallery", "migrate", target, "back.gallery").out
    assert "compared" in told
    assert told.endswith('\n  gallery = "back.gallery"\n')
    same = cli("gallery", "migrate", gallery_path, gallery_path)
    assert (same.code, "already" in same.err) == (5, True)


def test_a_migration_that_was_stopped_before_the_switch_switches_when_it_is_run_again(
    cli, gallery_path, names, tmp_path, monkeypatch
):
    monkeypatch.delenv("LIKENESS_GALLERY")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "likeness.toml").write_text(f'gallery = "{gallery_path}"\n')
    assert cli("gallery", "migrate", gallery_path, "new.gallery").code == 0
    [done] = cli("gallery", "migrate", gallery_path, "new.gallery", "--switch", "--json").lines
    assert done["found_there"] == done["faces"] > 0
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    [info] = cli("gallery", "info", "--json", "--config", tmp_path / "likeness.toml").lines
    assert (info["uri"], info["people"]) == (str(tmp_path / "new.gallery"), len(names))


def test_switching_is_refused_before_the_copy_where_no_file_decides(cli, gallery_path, target, tmp_path, monkeypatch):
    done = cli("gallery", "migrate", gallery_path, target, "--switch")
    assert (done.code, "LIKENESS_GALLERY" in done.err) == (2, True)
    monkeypatch.delenv("LIKENESS_GALLERY")
    monkeypatch.chdir(tmp_path)
    done = cli("gallery", "migrate", gallery_path, target, "--switch")
    assert (done.code, "there is none" in done.err) == (2, True)
    assert cli("gallery", "info", "--gallery", target).code == 4


def test_a_setting_is_added_where_it_is_not_there_and_odd_files_are_left_alone(tmp_path):
    file = tmp_path / "likeness.toml"
    file.write_text("fmr = 0.001\n")
    write_setting(file, "gallery", 'a "quoted" \\ path')
    assert tomllib.loads(file.read_text()) == {"gallery": 'a "quoted" \\ path', "fmr": 0.001}
    odd = 'gallery = """\nover\nlines"""\n'
    file.write_text(odd)
    with pytest.raises(SettingsError):
        write_setting(file, "gallery", "new")
    assert file.read_text() == odd


def test_a_target_into_which_not_all_has_come_is_deleted_so_that_one_can_begin_anew(cli, gallery_path, target):
    with open_gallery(gallery_path) as source:
        outline = source.outline()
    with open_gallery(target, space=outline.space, dimension=outline.dimension, unfinished=True) as half:
        half.begin_import(outline)
    assert cli("gallery", "info", "--gallery", target).code == 7
    done = cli("gallery", "delete", "--yes", "--gallery", target)
    assert (done.code, "deleted" in done.out) == (0, True), done.err
    assert cli("gallery", "info", "--gallery", target).code == 4


@pytest.mark.parametrize(("value", "mode"), [("people.gallery", 0o644), ("postgresql://u:secret@host/x", 0o600)])
def test_a_settings_file_that_comes_to_hold_a_password_is_its_owners_alone(tmp_path, value, mode):
    file = tmp_path / "likeness.toml"
    file.write_text("threads = 1\n")
    file.chmod(0o644)
    write_setting(file, "gallery", value)
    assert file.stat().st_mode & 0o777 == mode
