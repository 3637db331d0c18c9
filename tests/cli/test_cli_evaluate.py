"""`likeness evaluate`: what fails before the work."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("option", ["--report", "--plot"])
@pytest.mark.parametrize("below", ["file/out", "file/deep/out"])
def test_a_file_that_cannot_be_written_is_told_before_the_work(cli, tmp_path, monkeypatch, option, below):
    monkeypatch.setattr("likeness.evaluate.lfw.Lfw.find", lambda *given: pytest.fail("the work was begun"))
    (tmp_path / below.split("/", maxsplit=1)[0]).write_text("no folder")
    done = cli("evaluate", "lfw", option, tmp_path / below)
    assert done.code == 7
    assert "cannot be written" in done.err
    assert str(tmp_path / below) in done.err


def test_a_plot_without_the_package_for_it_is_told_before_the_work(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("likeness.evaluate.lfw.Lfw.find", lambda *given: pytest.fail("the work was begun"))
    monkeypatch.setattr("likeness.cli.evaluate.find_spec", lambda name: None)
    done = cli("evaluate", "lfw", "--plot", tmp_path / "out.png")
    assert (done.code, "matplotlib" in done.err) == (6, True)


def test_a_data_set_that_nobody_named_is_asked_for(cli, tmp_path, monkeypatch):
    monkeypatch.delenv("LIKENESS_DATA", raising=False)
    monkeypatch.setattr("likeness.evaluate.lfw.DEFAULT_DATA", tmp_path / "none")
    done = cli("evaluate", "lfw")
    assert (done.code, "with --data" in done.err, "none" in done.err) == (2, True, False)


def test_saving_below_a_file_is_a_storage_error(cli, probe, tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert cli("describe", probe, "--draw", tmp_path / "file" / "out.png").code == 7
