"""Enrolled pictures in a storage, by the commands."""

from __future__ import annotations

import shutil


def test_what_is_enrolled_lies_in_the_storage_until_it_is_forgotten(cli, samples, tmp_path, monkeypatch):
    first = sorted((samples / "people").iterdir())[0]
    own = tmp_path / "Ann_Other"
    own.mkdir()
    shutil.copy(samples / "probes" / f"{first.name}_new.jpg", own / "x.jpg")
    kept = tmp_path / "kept"

    done = cli("gallery", "media")
    assert done.code == 2
    assert "storage" in done.err

    monkeypatch.setenv("LIKENESS_STORAGE", str(kept))
    before = cli("gallery", "media", "--json")
    assert before.code == 7
    everybody = before.lines[0]["missing"]
    assert cli("enroll", own, "--name", "Ann Other", "--largest").code == 0
    assert [path.name for path in kept.iterdir()] == ["ann_other"]

    mended = cli("gallery", "media", "--mend", "--json").lines[0]
    assert mended == {"kept": 1, "missing": everybody, "left_over": 0, "mended": True}
    assert cli("gallery", "media").out == f"{everybody + 1} as they should be, 0 missing, 0 left over\n"
    assert len(list(kept.rglob("*.png"))) == everybody + 1

    assert cli("people", "rename", "Ann Other", "Ann Else").code == 0
    assert (kept / "ann_else").is_dir()
    assert cli("people", "forget", "Ann Else", "--yes").code == 0
    assert not list(kept.glob("ann_*"))
