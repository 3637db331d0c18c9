"""`likeness gallery new-key`, `encrypt`, `rotate-key` and `decrypt`, as an operator goes through them."""

from __future__ import annotations

import pytest


@pytest.fixture
def key(cli, tmp_path, monkeypatch) -> str:
    """A new key's file, which the settings name."""
    path = tmp_path / "gallery.key"
    assert cli("gallery", "new-key", path).code == 0
    monkeypatch.setenv("LIKENESS_GALLERY_KEY_FILE", str(path))
    return str(path)


def test_a_gallery_is_encrypted_asked_rotated_and_decrypted(
    cli, names, gallery_path, key, tmp_path, monkeypatch, probe
):
    name, before = names[0].encode(), cli("identify", probe, "--json").lines
    assert name in gallery_path.read_bytes()
    told = cli("people", "list")
    assert "not encrypted: `likeness gallery encrypt`" in told.err
    assert cli("gallery", "check").code == 7
    done = cli("gallery", "encrypt", "--json").lines[0]
    assert done["rows"] > 3
    assert name not in gallery_path.read_bytes()
    assert "not encrypted" not in cli("people", "list").err
    assert cli("gallery", "check").code == 0
    assert cli("gallery", "info", "--json").lines[0]["details"]["encrypted"] is True
    assert cli("identify", probe, "--json").lines == before
    assert cli("people", "show", names[0], "--json").lines[0]["name"] == names[0]

    other = str(tmp_path / "other.key")
    cli("gallery", "new-key", other)
    rotated = cli("gallery", "rotate-key", "--new-key-file", other, "--data-key")
    assert rotated.code == 0
    assert f"set gallery_key_file to {other}" in rotated.err
    refused = cli("people", "list")
    assert refused.code == 7
    assert "is encrypted with the key" in refused.err
    assert cli("gallery", "rotate-key", "--new-key-file", other).code == 0, "said again, it is so already"
    monkeypatch.setenv("LIKENESS_GALLERY_KEY_FILE", other)
    assert cli("identify", probe, "--json").lines == before

    asked = cli("gallery", "decrypt")
    assert (asked.code, "say --yes" in asked.err) == (2, True)
    assert cli("gallery", "decrypt", "--yes").code == 0
    monkeypatch.delenv("LIKENESS_GALLERY_KEY_FILE")
    assert cli("identify", probe, "--json").lines == before
    actions = [line["action"] for line in cli("audit", "--json").lines]
    assert [each for each in actions if each in ("encrypt", "rotate-key", "decrypt")] == [
        "encrypt",
        "rotate-key",
        "rotate-key",
        "decrypt",
    ]


def test_without_the_key_the_command_says_what_to_set(cli, key, monkeypatch):
    assert cli("gallery", "encrypt").code == 0
    monkeypatch.delenv("LIKENESS_GALLERY_KEY_FILE")
    refused = cli("people", "list")
    assert refused.code == 7
    assert "LIKENESS_GALLERY_KEY" in refused.err
    assert cli("people", "list", "--json").lines[0]["error"]["code"] == "gallery_key_missing"


def test_without_any_key_nothing_is_encrypted(cli):
    refused = cli("gallery", "encrypt")
    assert refused.code == 5
    assert "likeness gallery new-key" in refused.err


def test_a_key_file_is_not_written_over(cli, key):
    assert cli("gallery", "new-key", key).code == 5


def test_a_person_enrolled_into_a_new_gallery_with_a_key_is_nowhere_readable(cli, names, samples, key, tmp_path):
    made = tmp_path / "new.gallery"
    enrolled = cli("enroll", "--gallery", made, samples / "people" / names[0].replace(" ", "_"), "--name", names[0])
    assert enrolled.code == 0, enrolled.err
    assert cli("people", "list", "--gallery", made, "--json").lines[0]["name"] == names[0]
    assert not [path for path in tmp_path.glob("new.gallery*") if names[0].encode() in path.read_bytes()]
