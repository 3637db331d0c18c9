"""`likeness doctor`: what it finds well, and what not."""

from __future__ import annotations

from likeness.gallery import open_gallery


def test_the_doctor_finds_all_well_with_and_without_a_gallery(cli, gallery_path):
    [report] = cli("doctor", "--json").lines
    assert report["ok"], report
    gallery_path.unlink()
    assert cli("doctor").code == 0


def test_an_extra_that_is_missing_is_said_to_be_needed_for_little(cli, monkeypatch):
    monkeypatch.setattr("likeness.service.health.OPTIONAL", {"ann": ("no-such-package",)})
    assert "not installed; needed only to search large galleries fast" in cli("doctor").out


def test_the_doctor_finds_a_gallery_of_another_model(cli, tmp_path):
    with open_gallery(tmp_path / "other.gallery", space="arcface-v9", dimension=512):
        pass
    done = cli("doctor", "--gallery", tmp_path / "other.gallery")
    assert (done.code, "arcface-v9, but dlib-resnet-int8 makes vectors of dlib-resnet-v1" in done.out) == (1, True)


def test_the_doctor_finds_a_cache_that_cannot_be_written(cli, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "file"))
    done = cli("doctor")
    assert (done.code, "cannot be written" in done.out) == (1, True)
