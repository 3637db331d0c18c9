"""Sealed cells: what was put in comes out, in its own place and with its own key, or nothing does."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.errors import Conflict, GalleryKeyMissing, GalleryKeyWrong, SealBroken, SettingsError
from likeness.gallery.keys import OwnerKey, key_of, make_key, parse_key, read_key
from likeness.gallery.sealing import OVERHEAD, Envelope, new_envelope, open_envelope
from likeness.settings import Settings

KEY, OTHER = OwnerKey(b"k" * 32, "a test"), OwnerKey(b"o" * 32, "a test")
ENVELOPE, SEALER = new_envelope(KEY)


@given(data=st.binary(max_size=300), place=st.text(max_size=40))
def test_what_was_sealed_opens_in_its_place_and_is_longer_by_the_same(data, place):
    cell = SEALER.seal(place, data)
    assert SEALER.open(place, cell) == data
    assert len(cell) == len(data) + OVERHEAD
    assert SEALER.seal(place, data) != cell, "a nonce was used twice"


@given(data=st.binary(max_size=60), bit=st.integers(0), places=st.tuples(st.text(), st.text()))
def test_a_cell_that_was_changed_or_moved_does_not_open(data, bit, places):
    cell = SEALER.seal(places[0], data)
    at = bit % (8 * len(cell))
    bent = bytearray(cell)
    bent[at // 8] ^= 1 << at % 8
    with pytest.raises(SealBroken):
        SEALER.open(places[0], bytes(bent))
    with pytest.raises(SealBroken):
        SEALER.open(places[0], cell[: at // 8])
    if places[0] != places[1]:
        with pytest.raises(SealBroken):
            SEALER.open(places[1], cell)


@pytest.mark.parametrize("cell", [None, "", b"", b"plain", "text where a cell belongs", 5])
def test_what_is_no_cell_does_not_open(cell):
    with pytest.raises(SealBroken):
        SEALER.open("a place", cell)


def test_a_cell_of_another_gallery_with_the_same_key_does_not_open():
    _, other = new_envelope(KEY)
    with pytest.raises(SealBroken):
        other.open("a place", SEALER.seal("a place", b"data"))


def test_a_large_file_opens_as_a_whole_only(monkeypatch):
    monkeypatch.setattr("likeness.gallery.sealing._CHUNK", 100)
    data = os.urandom(250)
    head, *parts = SEALER.seal_file("index 1", memoryview(data))
    assert SEALER.open_file("index 1", memoryview(head + b"".join(parts))) == data
    for wrong in (
        [head, *parts[:2]],
        [head, parts[1], parts[0], parts[2]],
        [head, *parts, parts[2]],
        [head[:-4] + (2).to_bytes(4, "little"), *parts[:2]],
        [data],
    ):
        with pytest.raises(SealBroken):
            SEALER.open_file("index 1", memoryview(b"".join(wrong)))
    with pytest.raises(SealBroken):
        SEALER.open_file("index 2", memoryview(head + b"".join(parts)))


def test_an_envelope_opens_with_its_owners_key_alone():
    cell = SEALER.seal("a place", b"data")
    assert open_envelope(ENVELOPE, KEY, of="it").open("a place", cell) == b"data"
    with pytest.raises(GalleryKeyMissing, match="no key is set"):
        open_envelope(ENVELOPE, None, of="it")
    with pytest.raises(GalleryKeyWrong, match=f"{KEY.fingerprint}.*{OTHER.fingerprint}"):
        open_envelope(ENVELOPE, OTHER, of="it")


def test_an_envelope_that_was_changed_is_told_from_a_damaged_cell():
    forged = Envelope(ENVELOPE.gallery, OTHER.fingerprint, ENVELOPE.wrapped)
    with pytest.raises(GalleryKeyWrong, match="was changed"):
        open_envelope(forged, OTHER, of="it")
    with pytest.raises(GalleryKeyWrong, match="not known"):
        open_envelope(Envelope(ENVELOPE.gallery, KEY.fingerprint, ENVELOPE.wrapped, "rot13"), KEY, of="it")


def test_a_rewrapped_envelope_opens_the_same_cells_with_the_new_key_alone():
    cell, moved = SEALER.seal("a place", b"data"), ENVELOPE.rewrapped(KEY, OTHER)
    assert open_envelope(moved, OTHER, of="it").open("a place", cell) == b"data"
    with pytest.raises(GalleryKeyWrong):
        open_envelope(moved, KEY, of="it")


def test_a_new_key_is_its_owners_alone_and_never_written_over(tmp_path):
    made = make_key(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert read_key(tmp_path / "key") == OwnerKey(made.secret, str(tmp_path / "key"))
    with pytest.raises(Conflict, match="lost without it"):
        make_key(tmp_path / "key")
    assert read_key(tmp_path / "key").secret == made.secret


def test_keys_are_read_from_hex_and_base64():
    assert parse_key("6b" * 32 + "\n", "here").fingerprint == KEY.fingerprint
    assert parse_key("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=", "here").fingerprint == KEY.fingerprint


@pytest.mark.parametrize("text", ["", "short", "6b" * 31, "zz" * 32, "a2tra2s=", "ü" * 44])
def test_what_is_no_key_is_refused_without_being_shown(text):
    with pytest.raises(SettingsError, match="likeness gallery new-key") as caught:
        parse_key(text, "here")
    assert not text or text not in str(caught.value)


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_key(tmp_path / "key")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_key(tmp_path / "none")


def test_the_settings_name_one_key(tmp_path):
    made = make_key(tmp_path / "key")
    in_a_file = {"LIKENESS_GALLERY_KEY_FILE": str(tmp_path / "key")}
    stated = {"LIKENESS_GALLERY_KEY": (tmp_path / "key").read_text()}
    assert key_of(Settings.load(environment={})) is None
    assert key_of(Settings.load(environment=in_a_file)) == OwnerKey(made.secret, str(tmp_path / "key"))
    assert key_of(Settings.load(environment=stated)) == OwnerKey(made.secret, "LIKENESS_GALLERY_KEY")
    with pytest.raises(SettingsError, match="both set"):
        key_of(Settings.load(environment=in_a_file | stated))


def test_no_key_is_ever_shown(tmp_path):
    make_key(tmp_path / "key")
    text = (tmp_path / "key").read_text().strip()
    settings = Settings.load(environment={"LIKENESS_GALLERY_KEY": text})
    shown = f"{settings!r} {settings.model_dump_json()} {key_of(settings)!r} {ENVELOPE!r}"
    assert text not in shown
    assert ENVELOPE.wrapped not in shown


def test_without_the_extra_it_is_said_what_to_install():
    script = """
import sys
sys.modules["cryptography.hazmat.primitives.ciphers.aead"] = None
from likeness.errors import ExtraMissing
from likeness.gallery.keys import OwnerKey
from likeness.gallery.sealing import new_envelope
try:
    new_envelope(OwnerKey(b"k" * 32))
except ExtraMissing as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'likeness[encryption]'" in ran.stdout
