"""Embedding what a gallery stores anew: crops that were aligned for one model, as another model wants them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain

import numpy as np

from likeness.errors import Conflict
from likeness.gallery.base import Gallery
from likeness.recognizer import Recognizer
from likeness.service.centre import mean_of
from likeness.service.models import alignment_of, alignment_of_space
from likeness.service.strips import apart
from likeness.types import Pixels, Vector
from likeness.vision.align import align
from likeness.vision.decode import decode_photo


def expect_pictures(gallery: Gallery) -> None:
    """Let a gallery pass whose faces all have a picture to be embedded anew.

    Raises:
        Conflict: some came without (imported encodings); the message counts them and names people.
    """
    lacking = Counter(face.person_id for face in gallery.faces() if not face.crop_jpeg)
    if lacking:
        names = ", ".join(gallery.person(person_id).name for person_id in list(lacking)[:3])
        more = f" and {len(lacking) - 3} more people" if len(lacking) > 3 else ""
        raise Conflict(
            f"faces that came without a picture cannot be embedded anew: {lacking.total()}, of {names}{more}",
            hint="enrol photos of these people into a new gallery, or forget them here",
        )


def crop_embedder(recognizer: Recognizer, space: str) -> Callable[[list[bytes]], Vector]:
    """What turns stored crops (JPEG) of a gallery with embeddings of `space` into vectors of the present model.

    A crop was cut so that its landmarks lie on the old model's template; moving that template onto the new one moves
    them where the new model wants them. Where both models agree the crops are taken as they are. A face with several
    pictures becomes their middle.

    Raises:
        ModelNotFound: no bundle of that space is known, so it is not known how the crops were aligned.
    """
    library = recognizer.settings.library()
    old_template, old_side_px = alignment_of_space(library, space)
    embedder = recognizer.embedder
    # Loading the embedder has made sure that its bundle is there and has an alignment.
    new_template, _ = alignment_of(library.find(recognizer.settings.embedder).manifest)
    as_is = old_side_px == embedder.side_px and np.allclose(old_template, new_template)

    def fitted(data: bytes) -> Pixels:
        pixels = decode_photo(data).pixels
        if as_is and pixels.shape[0] == embedder.side_px:
            return pixels
        # A crop of another size than the old model's was enrolled by hand: its landmarks scale with it.
        landmarks = old_template * (pixels.shape[0] / old_side_px)
        return align(pixels, landmarks.astype(np.float32), new_template, embedder.side_px)

    def embed(crops: list[bytes]) -> Vector:
        pictures = [apart(crop) for crop in crops]
        every = embedder.embed(np.stack(list(recognizer.map(fitted, chain.from_iterable(pictures)))))
        ends = np.cumsum([len(each) for each in pictures])[:-1]
        return np.stack([mean_of(own) for own in np.split(every, ends)])

    return embed
