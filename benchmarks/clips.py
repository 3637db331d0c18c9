"""Who is found again from a photo: enrolled by a short video, against enrolled by one frame of it, drawn at random.

A clip is made of one LFW photo of each person (moving, nearer, turning, blurred, half hidden, in changing light;
scripts/make_clips.py) and another photo asks. People are those of the official pairs, who calibrated nothing. Beside
the two ways: the pictures kept of the video, each as a face of its own, and the photo itself.

    LIKENESS_DATA=~/data python benchmarks/clips.py --json results/clips.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
from make_clips import random_actor, write_clip

from likeness.gallery import Gallery, open_gallery
from likeness.gallery.base import NewFace
from likeness.recognizer import Recognizer
from likeness.service import EnrolOptions, FoundPhoto, People
from likeness.service.frames import photo_of
from likeness.service.strips import apart
from likeness.settings import Settings
from likeness.types import Face, Vector
from likeness.vision.video import read_frames

DATA = Path(os.environ.get("LIKENESS_DATA", "../shared/data"))
WAYS = ("video", "random_frame", "pictures_apart", "photo")
CLIP_S = 5.0
RATES = (1e-2, 1e-3)


@dataclass
class Case:
    """A person: what each way enrols (embeddings), the face that asks, and what became of the clip."""

    name: str
    enrolled: dict[str, Vector]
    probe: Face | None
    refusal: str = ""
    frames: int = 0
    frames_used: int = 0
    seconds: float = 0.0


@dataclass
class Way:
    """Counts of one way to enrol."""

    enrolled: int = 0
    faces: int = 0
    rank1: int = 0
    identified: int = 0
    misnamed: int = 0
    strangers_named: int = 0
    genuine: list[float] = field(default_factory=list)
    impostor: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100, help="clips, and as many strangers (default 100)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report here (default: standard output)")
    options = parser.parse_args()
    report = run(options.people, options.seed)
    text = json.dumps(report, indent=2) + "\n"
    sys.stdout.write(text) if options.json is None else options.json.write_text(text)


def run(count: int, seed: int) -> dict[str, Any]:
    """Make the clips, enrol each way, ask, and count."""
    recognizer = Recognizer(Settings.load({}), threads=1)
    rng = np.random.default_rng(seed)
    chosen = _people(count, rng)
    cases = []
    for number, photos in enumerate(chosen[:count]):
        cases.append(look(recognizer, photos, seed * 1000 + number, rng))
        print(f"{number + 1} of {count}: {cases[-1].refusal or 'enrolled'}", file=sys.stderr, flush=True)
    strangers = [face for photos in chosen[count:] if (face := _largest(recognizer, photos[0])) is not None]
    ways = {way: measure(recognizer, way, cases, strangers) for way in WAYS}
    looked = [case for case in cases if case.frames]
    return {
        "what": "share of people found again from another photo, by how they were enrolled",
        "data": "LFW (deep-funneled), people of the official pairs; one generated clip each",
        "people": count,
        "strangers": len(strangers),
        "probes_without_a_face": sum(case.probe is None for case in cases),
        "seconds_of_a_clip": CLIP_S,
        "seed": seed,
        "clips_refused_until_the_largest_was_picked": {case.name: case.refusal for case in cases if case.refusal},
        "frames_looked_at": sum(case.frames for case in cases),
        "frames_good": sum(case.frames_used for case in cases),
        "seconds_to_enrol_a_clip_median": float(np.median([case.seconds for case in looked])) if looked else None,
        "ways": {way: _shares(recognizer, found, count, len(strangers)) for way, found in ways.items()},
        "models": recognizer.model_names,
        "machine": machine.describe("likeness", "onnxruntime", "av", "numpy"),
    }


def _people(count: int, rng: np.random.Generator) -> list[list[Path]]:
    """Photos of people of the official pairs, of whom there are two or more; twice `count` of them."""
    lines = (DATA / "lfw_pairs.txt").read_text().splitlines()[1:]
    named = {word for line in lines for word in line.split("\t") if not word.isdigit()}
    found = [sorted((DATA / "lfw" / name).glob("*.jpg")) for name in sorted(named)]
    several = [photos for photos in found if len(photos) >= 2]
    return [several[at] for at in rng.permutation(len(several))[: 2 * count]]


def look(recognizer: Recognizer, photos: Sequence[Path], seed: int, rng: np.random.Generator) -> Case:
    """Make a person's clip, and enrol it each way."""
    name = photos[0].parent.name.replace("_", " ")
    enrolled: dict[str, Vector] = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder) / "clip.mp4", [random_actor(photos[0], seed, CLIP_S)], CLIP_S)
        began = time.perf_counter()
        with People(_gallery(recognizer, folder), recognizer, actor="benchmark") as people:
            [outcome] = people.enroll([FoundPhoto(str(clip), name)], EnrolOptions())
            seconds = time.perf_counter() - began
            if refusal := "" if outcome.error is None else outcome.error["code"]:
                # Press photos show bystanders: the largest is meant, as of the random frame.
                [outcome] = people.enroll([FoundPhoto(str(clip), name)], EnrolOptions(pick="largest"))
            for face in people.gallery.faces():
                enrolled["video"] = face.embedding[None]
                crops = np.stack([recognizer.photo(each).pixels for each in apart(face.crop_jpeg)])
                enrolled["pictures_apart"] = recognizer.embedder.embed(crops)
        frames = list(read_frames(clip))
    drawn = recognizer.faces(photo_of(frames[int(rng.integers(len(frames)))]), attributes=False)
    for way, faces in (("random_frame", drawn), ("photo", recognizer.faces(str(photos[0]), attributes=False))):
        if faces and faces[0].embedding is not None:
            enrolled[way] = faces[0].embedding[None]
    facts = outcome.clip or {"frames": len(frames), "kept": 0, "spare": 0}
    probe = _largest(recognizer, photos[1])
    return Case(name, enrolled, probe, refusal, facts["frames"], facts["kept"] + facts["spare"], seconds)


def measure(recognizer: Recognizer, way: str, cases: Sequence[Case], strangers: Sequence[Face]) -> Way:
    """Ask for everybody in a gallery that was filled in one way."""
    found = Way()
    with tempfile.TemporaryDirectory() as folder, _gallery(recognizer, folder) as gallery:
        held = [case for case in cases if way in case.enrolled]
        for case in held:
            gallery.add(
                [
                    NewFace(case.name, vector, b"", photo_sha256=case.name, face_index=index)
                    for index, vector in enumerate(case.enrolled[way])
                ]
            )
        found.enrolled, found.faces = len(held), gallery.info().faces
        asking = [(case, case.probe) for case in cases if case.probe is not None]
        answers = recognizer.name([probe for _, probe in asking], gallery)
        for (case, probe), answer in zip(asking, answers, strict=True):
            right = answer.match is not None and answer.match.name == case.name
            found.rank1 += right
            found.identified += right and answer.decision == "match"
            found.misnamed += not right and answer.decision == "match"
            for other in held:
                similarity = float((other.enrolled[way] @ _embedding(probe)).max())
                (found.genuine if other is case else found.impostor).append(similarity)
        found.strangers_named = sum(each.decision == "match" for each in recognizer.name(strangers, gallery))
    return found


def _shares(recognizer: Recognizer, way: Way, people: int, strangers: int) -> dict[str, Any]:
    calibration = recognizer.calibration
    threshold, promised = calibration.search_threshold(recognizer.settings.fpir, way.faces)
    impostor = np.array(way.impostor)
    return {
        "enrolled": way.enrolled,
        "faces": way.faces,
        "identified": way.identified / people,
        "rank_1": way.rank1 / people,
        "misnamed": way.misnamed / people,
        "strangers_named": way.strangers_named / strangers,
        "threshold": threshold,
        "strangers_named_promised_at_most": promised,
        "similarity_of_one_person_median": float(np.median(way.genuine)),
        "similarity_of_two_median": float(np.median(impostor)),
        "pairs_of_two_people": len(impostor),
        "false_match_rates": {
            f"{rate:g}": float((impostor >= calibration.threshold(rate)).mean()) for rate in RATES
        },
    }  # fmt: skip


def _gallery(recognizer: Recognizer, folder: str) -> Gallery:
    return open_gallery(Path(folder) / "own.gallery", space=recognizer.space, dimension=recognizer.dimension)


def _largest(recognizer: Recognizer, photo: Path) -> Face | None:
    faces = recognizer.faces(str(photo), attributes=False)
    return faces[0] if faces else None


def _embedding(face: Face) -> Vector:
    assert face.embedding is not None  # the recognizer embeds unless told not to
    return face.embedding


if __name__ == "__main__":
    main()
