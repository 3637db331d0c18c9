"""Names and ids: how names are compared, what ids look like, and the keyed hashes that indexes hold."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata

from likeness.errors import InputError

_ID = re.compile(r"p_[0-9a-f]{16}")
# What makes the rest of a line run the other way; joiners (U+200C, U+200D) belong to names in many scripts.
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def new_person_id() -> str:
    """A short random id, never given twice: `p_` and 16 hex digits."""
    return f"p_{secrets.token_hex(8)}"


def clean_name(name: str) -> str:
    """A name as it is stored: Unicode NFC, without blanks around it.

    Raises:
        InputError: it shows nothing, has control characters (those that turn the direction of writing included), or
            looks like a person id.
    """
    cleaned = unicodedata.normalize("NFC", name).strip()
    kinds = [unicodedata.category(letter) for letter in cleaned]
    if all(kind[0] in "CZ" and kind != "Co" for kind in kinds):
        raise InputError("a person's name is empty", hint="give a name with at least one visible character")
    if any(kind in ("Cc", "Cs", "Zl", "Zp") for kind in kinds) or _TURNS.search(cleaned):
        raise InputError(f"the name {cleaned!r} has control characters")
    if _ID.fullmatch(cleaned):
        raise InputError(f"the name {cleaned!r} looks like a person id", hint="give another name")
    return cleaned


def name_key(name: str) -> str:
    """The form in which names are compared: trimmed, NFC, case folded."""
    folded = unicodedata.normalize("NFC", name).strip().casefold()
    return unicodedata.normalize("NFC", folded)


def keyed_hash(salt: bytes, *parts: str) -> bytes:
    """16 bytes that stand for `parts` in an index, meaningless without the gallery's salt."""
    digest = hashlib.blake2b(key=salt, digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(4, "little") + data)
    return digest.digest()


def name_hash(salt: bytes, name: str) -> bytes:
    """What the unique index on names holds."""
    return keyed_hash(salt, "name", name_key(name))


def photo_hash(salt: bytes, photo_sha256: str) -> bytes:
    """What indexes hold of a photo."""
    return keyed_hash(salt, "photo", photo_sha256)
