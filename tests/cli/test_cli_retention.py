"""`likeness people purge`, `consent` and `forget --prove`, as an operator's schedule runs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from likeness.gallery import open_gallery


@pytest.fixture
def overdue(gallery_path, names) -> list[str]:
    """Names of two people whose day has passed."""
    with open_gallery(gallery_path) as gallery:
        for name in names[:2]:
            gallery.update(gallery.person(name).id, retain_until=datetime.now(UTC).date() - timedelta(days=3))
    return names[:2]


def test_a_dry_run_shows_who_is_due_and_erases_nobody(cli, names, overdue):
    shown = cli("people", "purge", "--dry-run")
    assert shown.code == 0
    assert all(name in shown.out for name in overdue)
    assert "2 people would be erased" in shown.err
    assert [line["outcome"] for line in cli("people", "purge", "--dry-run", "--json").lines] == ["due", "due"]
    assert len(cli("people", "list", "--json").lines) == len(names)


def test_a_dry_run_says_so_when_nobody_is_due(cli):
    shown = cli("people", "purge", "--dry-run")
    assert (shown.code, shown.out) == (0, "")
    assert "nobody is due" in shown.err


def test_a_purge_erases_those_and_prints_no_name(cli, names, overdue):
    done = cli("people", "purge", "--progress")
    assert (done.code, "2 people erased" in done.out) == (0, True)
    assert not any(name in done.out + done.err for name in names)
    assert [line["name"] for line in cli("people", "list", "--json").lines] == names[2:]
    assert cli("audit", "--json").lines[-1]["details"]["erased"] == 2
    assert cli("people", "purge").out == "0 people erased\n"


def test_a_day_to_come_is_for_dry_runs(cli, overdue):
    assert cli("people", "purge", "--as-of", "2999-01-01").code == 2
    assert len(cli("people", "purge", "--as-of", "2999-01-01", "--dry-run", "--json").lines) == 2
    assert cli("people", "purge", "--as-of", "2020-01-01").out == "0 people erased\n"


def test_consent_is_recorded_shown_and_taken_back(cli, names):
    assert cli("people", "consent", names[0], "--basis", "signed a form", "--source", "desk").code == 0
    assert "signed a form (20" in cli("people", "show", names[0]).out
    assert ", through desk" in cli("people", "show", names[0]).out
    assert cli("people", "consent", names[0]).code == 2
    assert cli("people", "consent", names[0], "--withdraw", "--basis", "x").code == 2
    assert "`likeness people purge` erases" in cli("people", "consent", names[0], "--withdraw").out
    assert "not recorded" in cli("people", "show", names[0]).out
    assert cli("people", "purge").code == 0
    assert cli("people", "show", names[0]).code == 4


def test_somebody_is_forgotten_with_proof(cli, names, gallery_path):
    shown = cli("people", "forget", names[0], "--prove", "--yes")
    assert shown.code == 0
    assert "proof" in shown.out
    done = cli("people", "forget", names[1], "--prove", "--yes", "--json").lines[0]
    assert done["proof"]["proved"]
    assert done["proof"]["found"] == 0
    assert done["proof"]["bytes_scanned"] >= gallery_path.stat().st_size
    assert cli("audit", "verify", "--sealed", done["proof"]["audit_seal"]).code == 0


def test_an_encrypted_gallery_proves_it_too(cli, names, tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_GALLERY_KEY_FILE", str(tmp_path / "key"))
    cli("gallery", "new-key", tmp_path / "key")
    cli("gallery", "encrypt")
    done = cli("people", "forget", names[1], "--prove", "--yes", "--json").lines[0]
    assert done["proof"]["proved"]
    assert done["proof"]["patterns"] > 50


def test_enrolling_without_consent_is_refused_where_it_is_required(cli, names, samples, monkeypatch):
    monkeypatch.setenv("LIKENESS_REQUIRE_CONSENT", "true")
    folder = samples / "people" / names[0].replace(" ", "_")
    cli("people", "forget", names[0], "--yes")
    refused = cli("enroll", folder, "--name", names[0], "--json")
    assert refused.code == 3
    assert {line["error"]["code"] for line in refused.lines if line.get("error")} == {"consent_missing"}
    assert cli("enroll", folder, "--name", names[0], "--consent", "signed a form").code == 0
