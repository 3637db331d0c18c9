"""Make the sample photos: `python samples/make.py`, with UTKFace under LIKENESS_DATA; see samples/README.md.

Everything random comes from one seed, so the same faces, code and libraries make the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from blend import Ingredients, gather
from casting import (
    INGREDIENTS,
    LARGEST_WEIGHT,
    MOST_ALIKE,
    Candidate,
    choose_cast,
    draw_candidates,
    next_candidates,
    plain_embedder,
    shortlist,
    try_out,
)
from likeness.settings import Settings
from likeness.vision.decode import decode_photo
from likeness.vision.detect import Detector
from likeness.vision.embed import Embedder
from measure import Shot, measure_samples, read_shot
from people import PEOPLE, STRANGERS, Sketch
from portrait import as_jpeg, take_photo
from sources import Sources, read_sources
from staging import SIZES, group_sitters, stage

HERE = Path(__file__).parent
GROUP = ("Elias_Mutombwe", "Clara_Lindqvist", "stranger_1", "Nadia_Okafor", "Henrik_Ashdown")
"""Who stands in the group photo, from the viewer's left."""

_TRIED = 5
_ROUNDS = 10
"""So many candidates per person are mixed to see how they come out, then so often one more of each of the two most
alike."""

_TRIES = 8
_LEAST_SCORE = 0.99
_NEAR_ITSELF = 0.975
"""A photo is kept if the detector is this sure, and the face this near to the person's first photo."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What making needs: the models, the sources and where their files lie."""

    detector: Detector
    embedder: Embedder
    sources: Sources
    folder: Path
    seed: int

    def random(self, *key: int) -> np.random.Generator:
        """A generator of its own for every person and photo, so that one more photo changes no other."""
        return np.random.default_rng([self.seed, *key])


def main() -> None:
    arguments = _read_arguments()
    console = Console()
    folder = Path(os.environ.get("LIKENESS_DATA", HERE.parent / ".." / "shared" / "data")) / "utkface"
    if not folder.is_dir():
        raise SystemExit(f"no folder {folder}: put UTKFace there, or set LIKENESS_DATA to the folder above it")
    library = Settings.load().library(console.print)
    detector, embedder = library.find("mtcnn").load(threads=1), plain_embedder(library.find("dlib-resnet-int8"))
    files = sorted(folder.glob("*.jpg"))
    sources = read_sources(arguments.cache, track(files, "Reading source faces", console=console), detector, embedder)
    shop = Workshop(detector, embedder, sources, folder, arguments.seed)
    drawn = [
        draw_candidates(sketch, arguments.candidates, sources, shop.random(1, k))
        for k, sketch in enumerate((*PEOPLE, *STRANGERS))
    ]
    tried = [
        [try_out(candidate, sources, folder, embedder) for candidate in row]
        for row in track(shortlist(drawn, _TRIED), "Trying candidates", console=console)
    ]
    for _ in track(range(_ROUNDS), "Pulling the nearest two apart", console=console):
        for k, candidate in next_candidates(drawn, tried, choose_cast(tried)):
            tried[k].append(try_out(candidate, sources, folder, embedder))
    cast = choose_cast(tried)
    mixed = [
        gather(sources, folder, member.rows, member.weights)
        for member in track(cast, "Registering faces", console=console)
    ]
    _write_photos(shop, mixed, arguments.out, arguments.photos, console)
    record = _record(shop, cast, arguments.out, arguments)
    (arguments.out / "samples.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
    console.print_json(json.dumps(record["measured"]))


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the sample photos of invented people from UTKFace.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: samples/)")
    parser.add_argument("--seed", type=int, default=20261122, help="seed of everything random")
    parser.add_argument("--candidates", type=int, default=300, help="mixtures drawn per person")
    parser.add_argument("--photos", type=int, default=4, help="enrolment photos per person")
    cache = Path(tempfile.gettempdir()) / "likeness-samples-sources.npz"
    parser.add_argument("--cache", type=Path, default=cache, help="file that keeps the detected source faces")
    return parser.parse_args()


def _write_photos(shop: Workshop, mixed: list[Ingredients], out: Path, photos: int, console: Console) -> None:
    probes = out / "probes"
    probes.mkdir(parents=True, exist_ok=True)
    sketches = (*PEOPLE, *STRANGERS)
    for k, sketch in enumerate(track(sketches, "Taking photos", console=console)):
        known = k < len(PEOPLE)
        album = out / "people" / sketch.name
        paths = [album / f"{number:02d}.jpg" for number in range(1, photos + 1)] if known else []
        paths.append(probes / (f"{sketch.name}_new.jpg" if known else f"{sketch.name}.jpg"))
        first: Shot | None = None
        for number, path in enumerate(paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            shot = _shoot(shop, mixed[k], sketch, k, number, path, first)
            first = first or shot
        if known:
            card = json.dumps(sketch.profile, indent=2, ensure_ascii=False)
            (album / "profile.json").write_text(card + "\n", "utf-8")
    members = [next(k for k, sketch in enumerate(sketches) if sketch.name == name) for name in GROUP]
    sitters = group_sitters([(mixed[k], sketches[k], shop.random(4, k)) for k in members])
    (out / "group.jpg").write_bytes(as_jpeg(take_photo((800, 420), "garden", sitters, shop.seed), 84))
    (out / "landscape.jpg").write_bytes(as_jpeg(take_photo((640, 426), "landscape", [], shop.seed), 82))


def _shoot(
    shop: Workshop, mixed: Ingredients, sketch: Sketch, person: int, number: int, path: Path, first: Shot | None
) -> Shot:
    """Take a photo, again if need be until it shows its person well; the best of some tries is kept."""
    best: tuple[float, bytes, Shot] | None = None
    for attempt in range(_TRIES):
        rng = shop.random(3, person, number, attempt)
        size = SIZES[(person + number) % len(SIZES)]
        scene, sitter, pose, light, softness = stage(mixed, sketch, size, person, number, rng)
        picture = take_photo(size, scene, [(sitter, pose, light)], int(rng.integers(2**31)), softness=softness)
        data = as_jpeg(picture, int(rng.integers(80, 90)))
        shot = read_shot(decode_photo(data).pixels, shop.detector, shop.embedder)
        near = 1.0 if first is None or not shot.faces else shot.similarity(first)
        if shot.faces == 1 and (best is None or near > best[0]) and shot.score > _LEAST_SCORE:
            best = (near, data, shot)
        if best is not None and best[0] > _NEAR_ITSELF:
            break
    if best is None:
        raise SystemExit(f"no try at {path.name} of {sketch.name} showed one sure face")
    path.write_bytes(best[1])
    return best[2]


def _record(shop: Workshop, cast: list[Candidate], out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What samples.json says: who, which files, how made, how measured."""
    people = [
        {
            "name": sketch.name.replace("_", " "),
            "files": [str(p.relative_to(out)) for p in sorted((out / "people" / sketch.name).glob("*.jpg"))],
            "probe": f"probes/{sketch.name}_new.jpg",
            "profile": sketch.profile,
            "mixed_from": {
                "faces": len(member.rows),
                "ages": list(sketch.ages),
                "gender": sketch.gender,
                "group": sketch.group,
                "largest_weight": round(float(member.weights.max()), 3),
            },
        }
        for sketch, member in zip(PEOPLE, cast, strict=False)
    ]
    return {
        "about": "Twelve invented people. Every picture is painted round the weighted average of at least eight "
        "faces; nobody real is shown, and the profiles are invented.",
        "people": people,
        "strangers": [f"probes/{sketch.name}.jpg" for sketch in STRANGERS],
        "group": {"file": "group.jpg", "left_to_right": [_shown(name) for name in GROUP]},
        "no_face": "landscape.jpg",
        "made": {
            "command": "python samples/make.py",
            "seed": arguments.seed,
            "candidates_per_person": arguments.candidates,
            "faces_per_person": INGREDIENTS,
            "largest_weight_allowed": LARGEST_WEIGHT,
            "most_alike_two_ingredients": MOST_ALIKE,
            "source": "UTKFace (Zhang, Song, Qi 2017), 23,708 faces; for non-commercial research",
        },
        "measured": measure_samples(
            out, people, [member.rows for member in cast], shop.sources, shop.detector, shop.embedder
        ),
    }


def _shown(name: str) -> str | None:
    return None if name.startswith("stranger") else name.replace("_", " ")


if __name__ == "__main__":
    main()
