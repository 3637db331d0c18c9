"""The best frames of a short video: good, of the person meant, different from each other, and enrolled once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from make_clips import Actor, crossing, pulse, ramp, wave, write_clip

from likeness.errors import NoFace, SeveralFaces, VideoUnusable
from likeness.service import EnrolOptions, FoundPhoto, find_photos
from likeness.service.centre import robust_centre
from likeness.service.clips import choose_clip, look_at_clip, spread_out
from likeness.service.frames import SeenFrame, look_at_frames, same_from
from likeness.service.looking import digest_of_file
from likeness.service.reembedding import crop_embedder
from likeness.service.strips import apart, joined
from likeness.types import Face, Quality
from likeness.vision.video import read_frames

BOX = (60.0, 60.0, 160.0, 160.0)


@pytest.fixture(scope="module")
def film(tmp_path_factory, samples):
    """Somebody who moves, and is blurred for a while; its name does not say that it is a video."""
    actor = Actor(samples / "probes" / "stranger_1.jpg", x=wave(0.5, 0.1, 1.5), blur_px=pulse(9.0, 0.6, 1.1))
    made = write_clip(tmp_path_factory.mktemp("film") / "film.mp4", [actor], 1.6)
    return made.rename(made.with_suffix(".dat"))


@pytest.fixture(scope="module")
def couple(tmp_path_factory, samples):
    """Two people who walk past each other."""
    photos = (samples / "probes" / f"stranger_{number}.jpg" for number in (1, 2))
    return write_clip(tmp_path_factory.mktemp("couple") / "couple.mp4", crossing(*photos, 2.0), 2.0)


@pytest.fixture(scope="module")
def looked_couple(couple, recognizer):
    return list(look_at_frames(recognizer, read_frames(couple)))


def unit(*numbers):
    vector = np.array(numbers, np.float32)
    return vector / np.linalg.norm(vector)


def tilted(degrees):
    turn = np.radians(degrees)
    return unit(np.cos(turn), np.sin(turn), 0)


def face(vector, quality=1.0, box=BOX, reasons=()):
    judged = Quality(quality, reasons, {"brightness": 12.0})
    return Face(box, np.zeros((5, 2), np.float32), 0.99, judged, embedding=vector)


def frames(*faces):
    given = [(each,) if isinstance(each, Face) else tuple(each) for each in faces]
    return [SeenFrame(0.1 * at, each, (320, 240)) for at, each in enumerate(given)]


def test_the_best_face_comes_first_and_the_most_different_next():
    vectors = np.stack([tilted(angle) for angle in (0, 1, 20, 40)])
    assert spread_out(1 - vectors @ vectors.T, np.array([0.8, 1, 0.9, 0.9]), 3) == [1, 3, 2]


def test_frames_that_show_nothing_new_are_left_out():
    vectors = np.stack([tilted(angle) for angle in (*(0.01 * step for step in range(10)), 15, 30)])
    assert len(spread_out(1 - vectors @ vectors.T, np.ones(12), 8)) == 3


def test_the_centre_drops_what_is_unlike_the_others_and_weighs_by_quality():
    vectors = np.stack([tilted(0), tilted(4), tilted(90), tilted(2)])
    for weights, degrees in (([1.0, 1, 1, 1], 2), ([0.0, 1, 1, 0], 4)):
        centre = robust_centre(vectors, np.array(weights), same_from=0.8)
        assert centre.belongs.tolist() == [True, True, False, True]
        assert np.degrees(np.arctan2(centre.vector[1], centre.vector[0])) == pytest.approx(degrees, abs=1e-3)


def test_the_centre_stays_with_the_greater_part_whatever_the_rest_weighs():
    vectors = np.stack([tilted(0)] * 3 + [tilted(90)] * 2)
    centre = robust_centre(vectors, np.array([0.1, 0.1, 0.1, 1.0, 1.0]), same_from=0.8)
    assert centre.belongs.tolist() == [True, True, True, False, False]


def test_every_frame_is_told_its_fate(recognizer):
    dark = face(tilted(1), reasons=("dark",))
    unlike = face(unit(0, 0.1, 1), box=(62.0, 60.0, 162.0, 160.0))
    film = frames(*[face(tilted(0.1 * n)) for n in range(6)], dark, [], unlike, face(tilted(9)))
    chosen = choose_clip(film, recognizer.calibration, "sha", keep=2)
    told = [(each.outcome, each.code) for each in chosen.verdicts]
    assert told[6:8] == [("refused", "dark"), ("refused", "no_face")]
    assert told[8] in [("refused", "unlike"), ("refused", "other_person")]
    assert told[9] == ("kept", "")
    assert chosen.as_dict()["refused"]["dark"] == 1
    assert sum(outcome == "kept" for outcome, _ in told) == 2 == len(chosen.kept)


def test_where_no_frame_can_be_used_the_usual_reason_is_told(recognizer):
    dark = face(tilted(0), reasons=("dark",))
    with pytest.raises(VideoUnusable, match=r"none of the video's 5 frames .* the face is too dark"):
        choose_clip(frames(dark, dark, [], dark, dark), recognizer.calibration, "sha")
    assert choose_clip(frames(dark, dark, dark), recognizer.calibration, "sha", gate=False).kept
    with pytest.raises(NoFace, match="3 frames"):
        choose_clip(frames([], [], []), recognizer.calibration, "sha")


def test_of_a_film_good_frames_of_that_person_are_kept_and_blurred_ones_refused(film, recognizer):
    chosen = look_at_clip(recognizer, str(film), "sha", keep=5)
    assert len(chosen.verdicts) == 16
    assert 3 <= len(chosen.kept) <= 5
    assert all(not 0.6 <= chosen.times_s[each.frame] < 1.1 for each in chosen.kept)
    vectors = np.stack([each.face.embedding for each in chosen.kept])
    assert (vectors @ vectors.T).min() > same_from(recognizer.calibration)


def test_a_film_of_two_is_refused_until_it_is_said_who_is_meant(looked_couple, recognizer):
    calibration = recognizer.calibration
    with pytest.raises(SeveralFaces, match="2 people") as told:
        choose_clip(looked_couple, calibration, "sha")
    assert "--pick" in told.value.hint
    first, second = (choose_clip(looked_couple, calibration, "sha", pick=pick) for pick in (1, 2))
    assert first.own.isdisjoint(second.own)
    assert float(first.centre @ second.centre) < same_from(calibration)
    with pytest.raises(NoFace, match="number 3"):
        choose_clip(looked_couple, calibration, "sha", pick=3)


def test_nobody_is_mixed_up_where_two_cross(looked_couple, recognizer, samples):
    probes = [recognizer.face(samples / "probes" / f"stranger_{n}.jpg").embedding for n in (1, 2)]
    for pick in (1, 2):
        chosen = choose_clip(looked_couple, recognizer.calibration, "sha", pick=pick, keep=20)
        assert len({int(np.argmax([each.face.embedding @ probe for probe in probes])) for each in chosen.kept}) == 1
        way = [sum(each.face.box_xyxy_px[::2]) / 2 for each in sorted(chosen.kept, key=lambda each: each.frame)]
        assert abs(way[-1] - way[0]) > 150  # from one side to the other


def test_a_film_is_enrolled_once_and_its_person_found_again(film, people, samples):
    photo = FoundPhoto(str(film), "Ada Berg")
    [added] = people.enroll([photo], EnrolOptions(keep=5))
    assert added.status == "added"
    assert json.dumps(added.as_dict())
    [stored] = people.gallery.faces(added.person_id)
    assert (stored.id, stored.source.split("#")[0]) == (added.face_id, str(film))
    kept = apart(stored.crop_jpeg)
    assert len(kept) == len(added.clip["pictures"]) > 2
    assert people.picture(added.person_id, added.face_id) == kept[0]
    [again] = people.enroll([photo])
    assert (again.status, again.earlier) == ("duplicate", True)
    [found] = people.identify(find_photos([samples / "probes" / "stranger_1.jpg"]))
    assert (found.answers[0].decision, found.answers[0].match.name) == ("match", "Ada Berg")


def test_the_two_of_a_film_are_enrolled_apart_and_neither_as_the_other(couple, looked_couple, people, recognizer):
    def given(name, pick):
        sha256 = digest_of_file(str(couple))
        return FoundPhoto(str(couple), name, clip=choose_clip(looked_couple, recognizer.calibration, sha256, pick=pick))

    [refused] = people.enroll([FoundPhoto(str(couple), "Eve Fox")])
    assert refused.error["code"] == "several_faces"
    [again] = people.enroll([FoundPhoto(str(couple), "Eve Fox")])
    assert again.earlier
    outcomes = people.enroll([given("Ada Berg", 1), given("Bo Ek", 2), given("Cy Day", 2)])
    assert [each.status for each in outcomes] == ["added", "added", "refused"]
    [stolen] = people.enroll([given("Cy Day", 2)])
    assert stolen.error["code"] == "face_of_another"


def test_a_run_that_is_stopped_in_a_film_adds_nothing_of_it(film, people):
    looked = 0

    def count():
        nonlocal looked
        looked += 1

    assert list(people.enroll([FoundPhoto(str(film), "Ada")], stop=lambda: looked >= 2, on_frame=count)) == []
    assert 2 <= looked < 16


def test_somebody_who_comes_nearer_is_kept_small_and_large(tmp_path, samples, recognizer):
    actor = Actor(samples / "probes" / "stranger_3.jpg", height=ramp(0.5, 1.1, 1.5))
    chosen = look_at_clip(recognizer, str(write_clip(tmp_path / "c.mp4", [actor], 1.5)), "sha")
    sizes = [each.face.area_px**0.5 for each in chosen.kept]
    assert max(sizes) > 1.4 * min(sizes)


def test_embedding_anew_makes_the_middle_of_all_pictures_kept(film, people, recognizer):
    [added] = people.enroll([FoundPhoto(str(film), "Ada Berg")])
    [stored] = people.gallery.faces(added.person_id)
    embed = crop_embedder(recognizer, recognizer.space)
    [anew, first] = embed([stored.crop_jpeg, apart(stored.crop_jpeg)[0]])
    each = embed(apart(stored.crop_jpeg))
    assert float(anew @ (each.sum(axis=0) / np.linalg.norm(each.sum(axis=0)))) == pytest.approx(1, abs=1e-5)
    assert float(anew @ stored.embedding) > max(float(first @ stored.embedding), 0.99)


def test_pictures_that_were_joined_come_apart_again(samples):
    photos = [path.read_bytes() for path in sorted((samples / "probes").glob("*.jpg"))[:3]]
    assert apart(joined(photos)) == photos
    assert apart(photos[0]) == photos[:1]
    assert apart(b"") == []


@pytest.mark.parametrize(
    ("beside", "people"),
    [
        pytest.param([face(unit(0, 0, 1), box=(200, 60, 300, 160))] * 2, 1, id="who is only glimpsed"),
        pytest.param([face(unit(0, 0, 1), 0.3, (200, 60, 300, 160), ("dark",))] * 9, 1, id="who is never seen well"),
        pytest.param([face(unit(0, 0, 1), 0.2, (200, 60, 300, 160))] * 4, 2, id="who is seen a tenth as much"),
        pytest.param([face(unit(0, 0, 1), 0.8, (240, 20, 270, 50))] * 9, 2, id="who is far behind"),
    ],
)
def test_beside_somebody_who_is_hardly_there_nobody_has_to_be_picked(recognizer, beside, people):
    main = face(tilted(0), box=(100.0, 60.0, 220.0, 180.0))
    film = frames(*([main, each] for each in beside), *[main] * (9 - len(beside)))
    chosen = choose_clip(film, recognizer.calibration, "sha")
    assert chosen.people == people
    assert bool(chosen.note) == (people > 1)
    assert float(chosen.centre @ main.embedding) > 0.99
