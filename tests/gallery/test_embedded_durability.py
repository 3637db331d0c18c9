"""Several processes, and processes that are killed: real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from gallery_oracle import DIMENSION, new_face, photo, unit

from likeness.gallery.embedded.storage import Store

HERE = Path(__file__).parent
PRELUDE = """
import sys
from pathlib import Path
import numpy as np
from gallery_oracle import DIMENSION, SPACE, new_face, unit
from likeness.gallery.embedded import open_embedded
gallery = open_embedded(sys.argv[1], space=SPACE, dimension=DIMENSION, create=True)
"""


def started(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A process with the gallery of `sys.argv[1]` open."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])},
    )


def finished(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output


def test_a_killed_writer_loses_nothing_that_was_acknowledged(embedded_at, tmp_path):
    script = """
        for number in range(100_000):
            gallery.add([new_face(f"P{number}", 2 * number), new_face(f"P{number}", 2 * number + 1)])
            print(number, flush=True)
    """
    acknowledged = -1
    for pause in (0.15, 0.05, 0.2):
        writer = started(script, tmp_path / "people.likeness")
        writer.stdout.readline()
        time.sleep(pause)
        writer.send_signal(signal.SIGKILL)
        lines = writer.communicate()[0].split()
        acknowledged = max(acknowledged, int(lines[-1]) if lines else 0)
    with embedded_at() as gallery:
        photos = {face.photo_sha256 for face in gallery.faces()}
        assert acknowledged > 0
        assert {photo(number) for number in range(2 * acknowledged + 2)} <= photos
        assert len(photos) % 2 == 0  # a batch is there as a whole or not at all
        assert all(finding.ok for finding in gallery.check())


def test_writers_and_readers_in_several_processes_see_each_other(embedded_at, tmp_path):
    path = tmp_path / "people.likeness"
    with embedded_at() as gallery:
        writers = [
            started(
                """
                for seed in range(int(sys.argv[2]), int(sys.argv[2]) + 40):
                    gallery.add([new_face(f"P{seed}", seed)])
                    (hits,) = gallery.search(unit(seed)[None], 1)
                    assert hits[0].name == f"P{seed}"
                    if seed % 4 == 0:
                        gallery.remove(hits[0].person_id)
                """,
                path,
                start,
            )
            for start in (0, 1000)
        ]
        while any(writer.poll() is None for writer in writers):
            for hits in gallery.search(np.stack([unit(3), unit(1003)]), 5):
                assert [hit.similarity for hit in hits] == sorted((hit.similarity for hit in hits), reverse=True)
        for writer in writers:
            finished(writer)
        left = sorted(int(person.name[1:]) for person in gallery.people(limit=1000))
        assert left == [seed for start in (0, 1000) for seed in range(start, start + 40) if seed % 4]
        for seed in left:
            assert gallery.search(unit(seed)[None], 1)[0][0].name == f"P{seed}"


def test_processes_that_create_the_same_gallery_at_once_agree(tmp_path):
    processes = [
        started("gallery.add([new_face('Ann', int(sys.argv[2]))])", tmp_path / "new.likeness", number)
        for number in range(4)
    ]
    for process in processes:
        finished(process)
    reader = started("print(len(gallery.people()), gallery.info().faces)", tmp_path / "new.likeness")
    assert finished(reader).split() == ["1", "4"]


def test_a_killed_reembedding_goes_on_where_it_stopped(embedded_at, tmp_path):
    with embedded_at() as gallery:
        gallery.add([new_face(f"P{seed}", seed) for seed in range(300)])
        script = """
            import os, signal
            calls = []
            def embed(crops):
                calls.append(len(crops))
                if len(calls) == 3:
                    os.kill(os.getpid(), signal.SIGKILL)
                return np.tile(unit(1, dimension=8), (len(crops), 1))
            gallery.reembed("new", 8, embed)
        """
        killed = started(script, tmp_path / "people.likeness")
        killed.communicate(timeout=60)
        assert killed.returncode == -signal.SIGKILL
        assert gallery.search(unit(5)[None], 1)[0][0].name == "P5"  # still in the old space
        looked_at = []

        def embed(crops):
            looked_at.extend(crops)
            return np.tile(unit(2, dimension=8), (len(crops), 1))

        assert gallery.reembed("new", 8, embed, progress=lambda done, total: None) == 300 - 2 * 64
        assert len(looked_at) == 300 - 2 * 64
        assert gallery.info().faces == 300
        assert all(finding.ok for finding in gallery.check())
    with embedded_at(space="new", dimension=8) as gallery:
        assert len(list(gallery.faces())) == 300


def test_a_removal_that_was_killed_half_way_is_finished_at_the_next_opening(embedded_at, tmp_path):
    with embedded_at() as gallery:
        gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
        snapshot = gallery.snapshot(tmp_path / "snap")
        person = gallery.person("Ann").id
    killed = started(
        """
        import os, signal
        from likeness.gallery.embedded import erasure
        erasure._erase_in_snapshot = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        gallery.remove(sys.argv[2])
        """,
        tmp_path / "people.likeness",
        person,
    )
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert unit(1).tobytes() in snapshot.read_bytes()
    with embedded_at():
        assert unit(1).tobytes() not in snapshot.read_bytes()
        assert unit(2).tobytes() in snapshot.read_bytes()


def test_a_snapshot_is_made_while_others_write(embedded_at, tmp_path):
    writer = started(
        """
        for number in range(100_000):
            gallery.add([new_face(f"P{number}", 2 * number), new_face(f"P{number}", 2 * number + 1)])
            print(number, flush=True)
        """,
        tmp_path / "people.likeness",
    )
    writer.stdout.readline()
    try:
        with embedded_at() as gallery:
            paths = [gallery.snapshot(tmp_path / f"snap{number}") for number in range(3)]
    finally:
        writer.kill()
        writer.communicate()
    counts = []
    for path in paths:
        with embedded_at(path.name) as copy:
            counts.append(copy.info().faces)
            assert copy.info().faces == 2 * copy.info().people  # whole batches
            assert all(finding.ok for finding in copy.check())
    assert counts == sorted(counts)
    assert counts[0] > 0


def test_the_maintenance_lock_ends_with_the_process_that_holds_it(embedded_at, tmp_path):
    path = tmp_path / "people.likeness"
    with embedded_at(busy_timeout_s=0.2):
        holder = started(
            """
            import time
            with gallery._store.maintenance():
                print("held", flush=True)
                time.sleep(60)
            """,
            path,
        )
        holder.stdout.readline()
        store = Store(path, readonly=False, busy_timeout_s=0.2)
        with store.maintenance(wait=False) as got:
            assert not got
        holder.kill()
        holder.communicate()
        with store.maintenance() as got:
            assert got
        store.close()


@pytest.mark.parametrize("dimension", [DIMENSION])
def test_a_second_opening_does_not_read_the_faces_before_a_search(embedded_at, dimension):
    with embedded_at() as gallery:
        gallery.add([new_face("Ann", 1, dimension=dimension)])
    with embedded_at() as gallery:
        assert len(gallery._searcher._matrix) == 0
        gallery.search(unit(1)[None], 1)
        assert len(gallery._searcher._matrix) == 1
