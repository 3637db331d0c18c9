"""A queue's server that dies while workers work."""

from __future__ import annotations

import threading
import time

import pytest

from redis_server import RedisServer


@pytest.mark.timeout(120)
def test_a_worker_whose_redis_dies_goes_on_when_it_is_back(make_pipeline, samples, tmp_path):
    server = RedisServer(tmp_path)
    pipeline = make_pipeline(queue=server.uri)
    photos = [path.read_bytes() for path in sorted((samples / "people").glob("*/*.jpg"))[:12]]
    job = pipeline.send(*photos)
    worker, stop = pipeline.worker(), threading.Event()
    running = threading.Thread(target=worker.run, args=(stop,))
    running.start()
    try:
        deadline = time.monotonic() + 60
        while pipeline.records.job(job.id).done < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.kill()
        time.sleep(0.5)
        assert running.is_alive()
        server.start()
        while pipeline.records.job(job.id).ended_at is None:
            assert time.monotonic() < deadline, pipeline.records.job(job.id)
            time.sleep(0.05)
    finally:
        stop.set()
        running.join(30)
        worker.close()
    ended = pipeline.records.job(job.id)
    assert (ended.done, ended.failed) == (12, 0)
    server.kill()
