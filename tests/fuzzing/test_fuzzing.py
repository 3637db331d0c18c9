"""Whatever the bytes, a reader gives a value or one of its stated errors, soon, and does nothing else meanwhile.

Some files a reader and run; `make fuzz` damages files for as long as one likes.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from pathlib import Path

import fuzz_guard
import pytest
from fuzz_mutations import damaged, steps
from fuzz_readers import READERS, Reader, is_stated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SLOWEST_S = 10.0
MOST_GROWTH_MIB = 700.0


def read(reader: Reader, data: bytes) -> None:
    """Read damaged bytes under watch."""
    with tempfile.TemporaryDirectory() as folder:
        files, began = fuzz_guard.open_files(), time.monotonic()
        with fuzz_guard.watched(Path(folder), programs=reader.starts_program) as watch:
            try:
                reader.read(data, Path(folder))
            except Exception as error:
                if not is_stated(error, reader):
                    raise
        assert watch.told == []
        assert fuzz_guard.open_files() <= files
        assert time.monotonic() - began < SLOWEST_S


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_damaged_files_end_in_a_value_or_a_stated_error(reader: Reader) -> None:
    seeds, sound = reader.seeds(), 0
    for seed in seeds:  # undamaged, which also loads what is loaded late
        with tempfile.TemporaryDirectory() as folder, suppress(*reader.errors):
            reader.read(reader.repair(seed), Path(folder))
            sound += 1
    assert sound, "nothing that is sound begins this: what is read behind the first fault would never be reached"
    before_mib = fuzz_guard.peak_memory_mib()

    @settings(max_examples=reader.examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(range(len(seeds))), steps())
    def damage(place: int, done: list) -> None:
        read(reader, reader.repair(damaged(seeds[place], done, seeds)))

    damage()
    assert fuzz_guard.peak_memory_mib() - before_mib < MOST_GROWTH_MIB


def test_the_watch_sees_what_a_reader_may_not_do(tmp_path: Path) -> None:
    import os
    import socket
    import subprocess

    def connect() -> None:
        with socket.socket() as way:
            way.connect_ex(("127.0.0.1", 1))

    inside, outside = tmp_path / "in", tmp_path / "out.txt"
    inside.mkdir()
    for act in (
        lambda: outside.write_text("x"),
        lambda: outside.unlink(missing_ok=True),
        lambda: (inside / ".." / "over").mkdir(),
        lambda: os.system("true"),
        lambda: subprocess.run(["true"], check=True),
        connect,
    ):
        with fuzz_guard.watched(inside) as watch:
            act()
        assert watch.told
    with fuzz_guard.watched(inside) as watch:
        (inside / "a").write_text("x")
        (inside / "a").rename(inside / "b")
        outside.exists()
    assert watch.told == []
