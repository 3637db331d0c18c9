"""Several pictures of one enrolled face, as JPEGs one after the other: what is kept of a video.

Whoever knows nothing of it (a browser, Pillow) sees the first and best one.
"""

from __future__ import annotations

from collections.abc import Sequence

_SEAM = b"\xff\xd9\xff\xd8\xff"
"""End of one JPEG and start of the next: inside of one, FF is never followed by D9."""


def joined(pictures: Sequence[bytes]) -> bytes:
    """JPEGs as one."""
    return b"".join(pictures)


def apart(strip: bytes) -> list[bytes]:
    """The JPEGs that were joined: one, for a face that was enrolled from a photo; none for one without a picture."""
    if not strip:
        return []
    first, *others = strip.split(_SEAM)
    if not others:
        return [strip]
    whole = [first, *(_SEAM[2:] + each for each in others)]
    return [each + _SEAM[:2] for each in whole[:-1]] + whole[-1:]
