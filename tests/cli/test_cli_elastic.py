"""The commands on a gallery on Elasticsearch."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "gallery"))

from elastic_server import StandIn


@pytest.fixture
def server():
    with StandIn() as running:
        yield running
        assert running.violations == []


def test_photos_are_enrolled_identified_looked_after_and_the_gallery_deleted(cli, samples, server, tmp_path):
    place = server.address("people")
    on_it = ("--gallery", place)
    folder = samples / "people" / "Nadia_Okafor"
    assert cli("enroll", folder, "--name", "Nadia Okafor", *on_it).code == 0
    assert cli("enroll", samples / "people" / "Mei_Hayashida", "--name", "Mei Hayashida", *on_it).code == 0
    again = cli("enroll", folder, "--name", "Nadia Okafor", *on_it)
    assert "enrolled before" in again.out
    assert "0 added" in again.out
    [found] = cli("identify", samples / "probes" / "Nadia_Okafor_new.jpg", "--json", *on_it).lines
    assert found["answers"][0]["candidates"][0]["name"] == "Nadia Okafor", found
    [info] = cli("gallery", "info", "--json", *on_it).lines
    assert (info["engine"], info["people"], info["index"]) == ("elasticsearch", 2, "exact")
    assert info["details"]["index_of_faces"] == "people-faces-000001"
    assert cli("gallery", "check", *on_it).code == 0
    copy = tmp_path / "copy"
    assert cli("gallery", "snapshot", copy, *on_it).code == 0
    assert cli("people", "forget", "Mei Hayashida", "--yes", *on_it).code == 0
    assert "say --yes" in cli("gallery", "delete", *on_it).err
    done = cli("gallery", "delete", "--yes", *on_it)
    assert done.code == 0
    assert str(copy) in done.out
    assert cli("gallery", "info", *on_it).code == 4


def test_a_gallery_that_is_a_file_is_not_deleted_by_the_command(cli, gallery_path):
    done = cli("gallery", "delete", "--yes", "--gallery", gallery_path)
    assert done.code == 2
    assert "delete its file" in done.err
    assert gallery_path.exists()
