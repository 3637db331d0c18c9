"""Every reader of bytes that come from strangers, with the errors that it may end in.

`repair` makes damaged bytes pass the outermost check (a sum, a packing, a manifest's digest), which whoever attacks
would mend as well: else nearly all damage would end there.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fuzz_seeds as seeds
import numpy as np

from likeness import errors
from likeness.apparent import AttributeCalibration
from likeness.bundle import Bundle
from likeness.calibration import Calibration
from likeness.data.manifest import read_rows
from likeness.data.sources.table import Table
from likeness.data.triplets import read_triplets
from likeness.data.unpack import unpack
from likeness.errors import LikenessError
from likeness.evaluate.classes import Classes
from likeness.evaluate.pairs import _read_csv, _read_lfw
from likeness.evaluate.predictions import read_predictions
from likeness.evaluate.report import read_report
from likeness.gallery import trail
from likeness.gallery.embedded import open_embedded
from likeness.intake.cuttings import Cutting
from likeness.intake.events import arrivals
from likeness.intake.queues.base import decode
from likeness.intake.webhooks import sign, signed_by
from likeness.server.keys import KeyStore
from likeness.server.routes.people import _place
from likeness.service.cards import parse_card
from likeness.service.compreface_dump import read_dump
from likeness.service.encodings import read_encodings
from likeness.service.fetching import _parsed
from likeness.settings import Settings
from likeness.train.recipe import load_recipe
from likeness.vision.decode import DecodeLimits, decode_photo
from likeness.vision.video import duration, read_frames

LIMITS = DecodeLimits(max_bytes=2_000_000, max_pixels=250_000)
"""Damaged headers may claim any size: what is allowed is small, so that no example takes long."""
Read = Callable[[bytes, Path], object]


@dataclass(frozen=True)
class Reader:
    """A reader: sound files, and the errors that damaged ones may end in.

    Attributes:
        examples: how many are tried in each run of the tests; a slow reader has fewer.
        starts_program: it reads in a process of its own, as what it reads by may fall over.
    """

    name: str
    read: Read
    seeds: Callable[[], Sequence[bytes]]
    errors: tuple[type[LikenessError], ...]
    repair: Callable[[bytes], bytes] = bytes
    examples: int = 60
    starts_program: bool = False


def _photo(data: bytes, folder: Path) -> None:
    photo = decode_photo(data, limits=LIMITS, target_side_px=10 if len(data) % 2 else None)
    assert photo.size_px[0] * photo.size_px[1] <= LIMITS.max_pixels


def _png_sums(data: bytes) -> bytes:
    """Right checksums for the chunks of a PNG; other files as they are."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    made, at = bytearray(data), 8
    while at + 12 <= len(made):
        end = at + 8 + int.from_bytes(made[at : at + 4], "big")
        if end + 4 > len(made):
            break
        made[end : end + 4] = zlib.crc32(made[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(made)


def _video(data: bytes, folder: Path) -> None:
    duration(data)
    for frame in read_frames(data, most_s=2.0, most_pixels=LIMITS.max_pixels, side_px=32):
        assert max(frame.pixels.shape[:2]) <= 32


def _archive(data: bytes, folder: Path) -> None:
    (folder / "packed").write_bytes(data)
    unpack(folder / "packed", folder / "out")


def _tar_sums(data: bytes) -> bytes:
    """Right checksums for the headers of a plain tar; every fourth file is packed."""
    if data[257:262] != b"ustar":
        return data
    made = bytearray(data)
    for at in range(0, len(made) - 511, 512):
        if made[at + 257 : at + 262] == b"ustar":
            total = sum(made[at : at + 148]) + 8 * 32 + sum(made[at + 156 : at + 512])
            made[at + 148 : at + 156] = b"%06o\0 " % total
    return gzip.compress(bytes(made), 1, mtime=0) if len(made) % 4 == 0 else bytes(made)


def _zip_again(data: bytes) -> bytes:
    """What two parts make, NAME and content, as a NumPy archive; the first sound one where it cannot be made."""
    name, _, content = data.partition(b"\0")
    key = name.decode("utf-8", "replace")[:40]
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seeds.cuttings()[0])) as sound, zipfile.ZipFile(file, "w") as made:
        for each in sound.namelist():
            made.writestr(each, content if each == key else sound.read(each))
    return file.getvalue()


def _parts_of_cuttings() -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(seeds.cuttings()[0])) as sound:
        return [name.encode() + b"\0" + sound.read(name) for name in sound.namelist()]


def _bundle(data: bytes, folder: Path, network: bytes | None = None) -> None:
    """A network in a bundle of its own that lists its digest: loaded and run as an embedder."""
    content = data if network is None else network
    (folder / "model.onnx").write_bytes(content)
    facts = seeds.MANIFEST | {
        "files": {"model": {"path": "model.onnx", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}}
    }
    (folder / "manifest.json").write_text(json.dumps(facts))
    found = Bundle.read(folder).load(threads=1).embed(np.zeros((2, 8, 8, 3), np.uint8))
    assert found.shape == (2, 4)
    assert np.isfinite(found).all()


def _manifest(data: bytes, folder: Path) -> None:
    (folder / "manifest.json").write_bytes(data)
    (folder / "model.onnx").write_bytes(seeds.SMALL_FILE)
    bundle = Bundle.read(folder)
    _parsed(data, "it")
    for file in bundle.manifest.files.values():
        assert (folder / file.path).resolve().parent == folder.resolve()
    bundle.verify()


def _classes(data: bytes, folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"")
    (folder / "classes.npz").write_bytes(data)
    listed = {"classes": {"path": "classes.npz", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}}
    (folder / "manifest.json").write_text(json.dumps(seeds.MANIFEST | {"files": listed}))
    Classes.of(Bundle.read(folder))


def _file(read: Callable[[Path], object], name: str) -> Read:
    """A reader that takes a path."""

    def reads(data: bytes, folder: Path) -> None:
        (folder / name).write_bytes(data)
        read(folder / name)

    return reads


def _event(data: bytes, folder: Path) -> None:
    for arrival in arrivals(decode(data.decode("utf-8", "replace"))):
        assert isinstance(arrival["uri"], str)


def _signature(data: bytes, folder: Path) -> None:
    told = data.decode("latin-1")
    right = sign(b"body", "k" * 16, at_s=1_000)
    assert signed_by(b"body", told, "k" * 16, now_s=1_000) == (told == right)


def _seal(data: bytes, folder: Path) -> None:
    trail.verify([], written=0, sealed=data.decode("latin-1"))


def _rows(data: bytes, folder: Path) -> None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    read_rows(text, where="the rows")


def _table(data: bytes, folder: Path) -> None:
    (folder / "photos.csv").write_bytes(data)
    list(Table().entries(folder / "photos.csv"))


def _pairs(data: bytes, folder: Path) -> None:
    text = data.decode("utf-8", "replace")
    (_read_csv if "," in text[:20] else _read_lfw)(text, folder / "pairs")


def _matlab(data: bytes, folder: Path) -> None:
    from likeness.data.sources.imdb_wiki import _lines

    (folder / "wiki.mat").write_bytes(data)
    list(_lines(folder / "wiki.mat"))


def _matlab_seeds() -> tuple[bytes, ...]:
    from scipy.io import savemat

    cell = np.empty((1, 2), object)
    cell[0, 0], cell[0, 1] = np.array(["00/a.jpg"]), np.array(["01/b.jpg"])
    numbers = np.array([[1.0, np.nan]])
    names = ("dob", "photo_taken", "gender", "face_score", "second_face_score")
    table = {"full_path": cell, "name": cell, "celeb_id": numbers, "celeb_names": cell} | dict.fromkeys(names, numbers)
    made = []
    for packed in (False, True):
        file = io.BytesIO()
        savemat(file, {"wiki": table}, do_compression=packed)
        made.append(file.getvalue())
    return tuple(made)


def _settings(data: bytes, folder: Path) -> None:
    (folder / "likeness.toml").write_bytes(data)
    Settings.load(environment={}, config=str(folder / "likeness.toml"))


def _recipe(data: bytes, folder: Path) -> None:
    (folder / "own.toml").write_bytes(data)
    load_recipe(str(folder / "own.toml"))


def _shipped_recipes() -> list[bytes]:
    from likeness.train.recipe import SHIPPED

    return [path.read_bytes() for path in sorted(SHIPPED.glob("*.toml"))]


def _gallery(data: bytes, folder: Path) -> None:
    (folder / "people.gallery").write_bytes(data)
    with open_embedded(folder / "people.gallery", space="s", dimension=4, create=True, busy_timeout_s=1) as gallery:
        gallery.check()
        list(gallery.faces())
        gallery.search(np.eye(1, 4, dtype=np.float32), 3)
        gallery.people()
        gallery.events()


def _gallery_seeds() -> tuple[bytes, ...]:
    import tempfile

    from likeness.gallery.base import NewFace

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.gallery"
        with open_embedded(path, space="s", dimension=4, create=True) as gallery:
            rows = np.eye(4, dtype=np.float32)
            gallery.add([NewFace(f"P{n}", rows[n], b"\xff\xd8" * 200, f"{n:064x}") for n in range(4)])
            gallery.update(gallery.people()[0].id, profile={"occupation": "baker"})
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.close()
        return (path.read_bytes(),)


def _keys(data: bytes, folder: Path) -> None:
    (folder / "api.keys").write_bytes(data)
    (folder / "api.keys").chmod(0o600)
    store = KeyStore(folder / "api.keys")
    try:
        store.list()
        store.check("lk_0123456789_" + "a" * 43)
    finally:
        store.close()


def _key_seeds() -> tuple[bytes, ...]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = KeyStore(Path(folder) / "api.keys")
        store.create("a", "read")
        store.create("b", "admin")
        store.close()
        return ((Path(folder) / "api.keys").read_bytes(),)


def _cursor(data: bytes, folder: Path) -> None:
    _place(data.decode("latin-1"))


def _texts(*texts: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [text.encode() for text in texts]


def _events() -> list[bytes]:
    return [json.dumps(each).encode() for each in seeds.EVENTS]


def _profile_cards() -> list[bytes]:
    return [b'{"occupation": "baker", "born": 1970, "places": ["Rome", {"a": [1.5, null]}]}', b"{}"]


def _classes_seeds() -> list[bytes]:
    whole = seeds.npz(weights=np.zeros((2, 4), np.float32), identities=np.array(["Ann", "Bea"]))
    plain = io.BytesIO()
    np.savez(plain, weights=np.zeros((2, 4), np.float32), identities=np.array(["Ann", "Bea"]))
    return [whole, plain.getvalue()]


_TOML = 'gallery = "people.gallery"\nfpir = 0.01\nthreads = 2\nwebhook_hosts = ["a.example"]\n[nothing]\n'
_ROWS = "path,identity,split,label:age_years\na.jpg,Ann,train,30\nb.jpg,Bea,test,\n"
_TRIPLETS = "anchor,positive,negative\na,b,c\n"
_PAIRS = ("path1,path2,same,fold\na,b,1,0\n", "1 1\nA 1 2\nA 1 B 1\n")
_SEAL = f"12:{'0f' * 32}"
_REPORT = '{"kind": "dataset", "model": "m", "data": {"photos": 3}}'

READERS = (
    Reader("photo", _photo, seeds.photos, (errors.PhotoError,), _png_sums, examples=150),
    Reader("video", _video, seeds.videos, (errors.VideoUnusable,)),
    Reader("bundle manifest", _manifest, seeds.manifests, (errors.BundleCorrupt,)),
    Reader("bundle network", _bundle, seeds.networks, (errors.BundleCorrupt,), examples=30),
    Reader("bundle classes", _classes, _classes_seeds, (errors.BundleCorrupt,)),
    Reader("calibration", _file(Calibration.read, "c.json"), seeds.calibrations, (errors.CalibrationError,)),
    Reader(
        "attribute calibration",
        _file(AttributeCalibration.read, "a.json"),
        seeds.attribute_calibrations,
        (errors.CalibrationError,),
    ),
    Reader("archive", _archive, seeds.archives, (errors.DownloadCorrupt, errors.StorageFull), _tar_sums),
    Reader("cut-out faces", lambda data, _: Cutting.read(data), seeds.cuttings, (errors.SpoolDamaged,)),
    Reader(
        "cut-out faces, inside",
        lambda data, _: Cutting.read(data),
        _parts_of_cuttings,
        (errors.SpoolDamaged,),
        _zip_again,
    ),
    Reader("pickle", _file(read_encodings, "e.pickle"), seeds.pickles, (errors.ImportRefused,), examples=100),
    Reader("database dump", _file(read_dump, "d.sql"), lambda: [seeds.DUMP], (errors.ImportRefused,)),
    Reader("event", _event, _events, (errors.InputError,), examples=100),
    Reader("callback signature", _signature, lambda: [sign(b"body", "k" * 16, at_s=1_000).encode()], ()),
    Reader("audit seal", _seal, _texts(_SEAL), (errors.InputError,)),
    Reader("profile card", lambda data, _: parse_card(data, "c"), _profile_cards, (errors.ProfileInvalid,)),
    Reader("data set", _rows, _texts(_ROWS), (errors.DatasetError,)),
    Reader("table of photos", _table, _texts(_ROWS), (errors.DatasetError,)),
    Reader("triplets", _file(read_triplets, "t.csv"), _texts(_TRIPLETS), (errors.DatasetError,)),
    Reader("pairs", _pairs, _texts(*_PAIRS), (errors.DatasetError,)),
    Reader(
        "predictions",
        _file(read_predictions, "p.csv"),
        _texts("path,predicted_age_years,predicted_gender,gender_probability\na,30,female,0.9\n"),
        (errors.DatasetError,),
    ),
    Reader("MATLAB table", _matlab, _matlab_seeds, (errors.DatasetError,), examples=4, starts_program=True),
    Reader("report", _file(read_report, "r.json"), _texts(_REPORT), (errors.DatasetError,)),
    Reader("settings file", _settings, _texts(_TOML, _TOML.replace("[nothing]\n", "")), (errors.SettingsError,)),
    Reader("recipe", _recipe, _shipped_recipes, (errors.RecipeInvalid,)),
    Reader("gallery file", _gallery, _gallery_seeds, (errors.StorageError, errors.SpaceMismatch), examples=30),
    Reader("key file", _keys, _key_seeds, (errors.StorageError,), examples=40),
    Reader("page cursor", _cursor, _texts("WyJBbm4iLCAicF8xIl0="), (errors.RequestInvalid,)),
)


def place_of(error: BaseException) -> str:
    """Where an error came from, the innermost line of ours: `module.py:function`."""
    found, trace = "?", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if re.search(r"/likeness/", name):
            found = f"{Path(name).name}:{trace.tb_frame.f_code.co_name}"
        trace = trace.tb_next
    return found


def is_stated(error: BaseException, reader: Reader) -> Any:
    """Whether a reader may end so."""
    return isinstance(error, reader.errors)
