"""A release: one version, a changelog that agrees, licences that were weighed."""

from __future__ import annotations

import subprocess
import sys

import changelog
import licences
import pytest
from deployed import ROOT

import likeness


def test_the_version_stands_in_one_place():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert changelog.version() == likeness.__version__


def test_the_changelog_begins_with_this_version_and_goes_back_in_time():
    found = changelog.sections((ROOT / "CHANGELOG.md").read_text("utf-8"))
    versions = [tuple(map(int, version.split("."))) for version, _, _ in found]
    assert found[0][0] == likeness.__version__
    assert versions == sorted(set(versions), reverse=True)
    dates = [date for _, date, _ in found]
    assert all(date != "unreleased" for date in dates[1:])
    assert dates[1:] == sorted(dates[1:], reverse=True)
    assert all(body for *_, body in found)


def release(monkeypatch, tmp_path, text: str, *arguments: str) -> str | int:
    (tmp_path / "src" / "likeness").mkdir(parents=True)
    (tmp_path / "src" / "likeness" / "__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(text)
    monkeypatch.setattr(changelog, "ROOT", tmp_path)
    try:
        return changelog.main(list(arguments))
    except SystemExit as end:
        return str(end.code)


@pytest.mark.parametrize(
    ("text", "tag", "words"),
    [
        ("## 1.2.0 (2026-12-01)\n\nNews.\n", "v1.3.0", "the tag is v1.3.0"),
        ("## 1.1.0 (2026-12-01)\n\nNews.\n", "v1.2.0", "begins with 1.1.0"),
        ("## 1.2.0 (unreleased)\n\nNews.\n", "v1.2.0", "is unreleased"),
        ("## 1.2.0 (2026-12-01)\n\n## 1.1.0 (2026-11-01)\n\nOld.\n", "v1.2.0", "says nothing"),
    ],
    ids=["another tag", "another version", "no date", "no news"],
)
def test_a_release_is_refused_where_tag_version_and_changelog_disagree(monkeypatch, tmp_path, text, tag, words):
    assert words in str(release(monkeypatch, tmp_path, text, "--tag", tag))


def test_a_release_tells_what_is_new_in_it_and_nothing_older(monkeypatch, tmp_path, capsys):
    text = "# Changelog\n\n## 1.2.0 (2026-12-01)\n\n- News.\n\n## 1.1.0 (2026-11-01)\n\n- Old.\n"
    assert release(monkeypatch, tmp_path, text, "--tag", "v1.2.0") == 0
    assert capsys.readouterr().out == "- News.\n"


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", True),
        ("Apache Software License; BSD License", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-2.0-or-later", False),
        ("GNU Affero General Public License v3", False),
        ("MPL-2.0 AND MIT", False),
        ("Limited to friends", False),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_a_licence_is_permissive_where_each_part_of_it_is(licence, permissive):
    assert licences.is_permissive(licence) is permissive


def test_every_package_that_an_installation_brings_has_a_licence_that_was_weighed(tmp_path, monkeypatch, capsys):
    rows_told = licences.told(sorted(licences.brought()))
    monkeypatch.setattr(licences, "told", lambda names: rows_told)
    assert licences.main(["--out", str(tmp_path / "licences.md")]) == 0, capsys.readouterr().err
    rows = [line.split("|") for line in (tmp_path / "licences.md").read_text("utf-8").splitlines()[2:]]
    with_what = {row[1].strip(): row[4].strip() for row in rows}
    assert with_what["numpy"] == with_what["onnxruntime"] == "every installation"
    assert "serve" in with_what["fastapi"]
    assert set(licences.WEIGHED) <= set(with_what), "what is weighed comes along"
    # One that nobody weighed is told of, by name.
    monkeypatch.delitem(licences.WEIGHED, "psycopg")
    assert licences.main(["--out", str(tmp_path / "licences.md")]) == 1
    assert "psycopg 3" in capsys.readouterr().err


def test_the_scripts_of_a_release_run_as_they_are_called():
    done = subprocess.run(
        [sys.executable, "scripts/changelog.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
