"""Videos on the command line: enrolled, identified as files and streams, annotated, stopped."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
from make_clips import Actor, crossing, pulse, wave, write_clip

from likeness.gallery import open_gallery
from rtsp_server import rtsp_server


@pytest.fixture(scope="module")
def films(tmp_path_factory, samples):
    """A person of the gallery alone, and crossing with a stranger."""
    folder = tmp_path_factory.mktemp("films")
    probes = samples / "probes"
    known, stranger = sorted(probes.glob("*_new.jpg"))[0], probes / "stranger_1.jpg"
    alone = [Actor(known, x=wave(0.5, 0.1, 2.0), blur_px=pulse(9.0, 0.8, 1.2))]
    dark = [Actor(known, light=wave(0.12, 0.01, 1.0))]
    small = {"size_px": (320, 240)}
    return {
        "alone": write_clip(folder / "alone.mp4", alone, 1.5, **small),
        "two": write_clip(folder / "two.mp4", crossing(known, stranger, 1.6), 1.6),
        "stream": write_clip(folder / "stream.ts", alone, 8.0, codec="libx264", fps=10, **small),
        "dark": write_clip(folder / "dark.mp4", dark, 0.6, **small),
    }


def test_a_video_is_enrolled_and_says_what_became_of_each_frame(cli, films, gallery_path):
    done = cli("enroll", films["alone"], "--name", "Ada Berg", "--every", "0.125", "--keep", "4", "--json", "--again")
    assert done.code == 0, done.out + done.err
    outcome, summary = done.lines
    clip = outcome["clip"]
    assert (outcome["status"], clip["frames"]) == ("added", 12)
    assert len(clip["pictures"]) == clip["kept"] <= 4
    assert len(clip["each_frame"]) == 12 == clip["kept"] + clip["spare"] + sum(clip["refused"].values())
    assert any(each["outcome"] == "refused" and each["message"] for each in clip["each_frame"])
    assert summary["summary"]["added"] == 1
    with open_gallery(gallery_path, create=False) as gallery:
        assert gallery.person("Ada Berg").faces == 1


def test_a_video_of_two_is_refused_with_the_way_to_say_who_and_enrolled_by_number(cli, films):
    refused = cli("enroll", films["two"], "--name", "Ada Berg")
    assert refused.code == 3
    assert "2 people" in refused.out
    assert "hint: say --pick largest" in refused.err
    assert cli("enroll", films["two"], "--name", "Ada Berg", "--pick", "2").code == 0
    wrong = cli("enroll", films["two"], "--name", "Ada Berg", "--pick", "left")
    assert wrong.code == 2
    assert "left" in wrong.err


def test_a_video_without_a_good_frame_says_why_for_people_and_for_programs(cli, films):
    done = cli("enroll", films["dark"], "--name", "Ada Berg", "--json")
    assert done.code == 3
    assert done.lines[0]["error"]["code"] in ("video_unusable", "no_face")
    assert "refused" in cli("enroll", films["dark"], "--name", "Ada Berg").out


def test_folders_may_hold_videos_whatever_these_are_called(cli, films, tmp_path):
    folder = tmp_path / "people" / "Ada_Berg"
    folder.mkdir(parents=True)
    (folder / "clip.dat").write_bytes(films["alone"].read_bytes())
    (folder / "notes.txt").write_text("no photo")
    done = cli("enroll", tmp_path / "people", "--progress")
    assert done.code == 0, done.out + done.err
    assert "1 added" in done.out
    assert "clip.dat: 15 frames" in done.out
    assert "enrolling" in done.err


def test_each_track_of_a_video_has_one_answer(cli, films, names):
    done = cli("identify", films["two"], "--json")
    assert done.code == 0, done.err
    *tracks, end = done.lines
    assert {line["event"] for line in tracks} == {"track"}
    assert sorted(line["decision"] == "match" for line in tracks) == [False, True]
    [known] = [line for line in tracks if line["decision"] == "match"]
    assert known["person"]["name"] == names[0]
    assert known["end_s"] - known["start_s"] > 1.2
    assert (end["event"], end["tracks"], end["frames"]) == ("end", 2, 16)
    text = cli("identify", films["two"], "--for", "0.5").out
    assert names[0] in text
    assert "track 1, 0.0 to 0.4 s, 5 frames" in text


def test_the_annotated_video_has_every_frame_with_boxes_and_names(cli, films, tmp_path):
    import av

    out = tmp_path / "out.mp4"
    done = cli("identify", films["alone"], "--annotate", out)
    assert done.code == 0, done.err
    with av.open(str(out)) as drawn, av.open(str(films["alone"])) as plain:
        assert drawn.streams.video[0].codec_context.name in ("h264", "mpeg4")
        pairs = list(zip(drawn.decode(video=0), plain.decode(video=0), strict=True))
        far = [
            np.abs(one.to_ndarray(format="rgb24").astype(int) - other.to_ndarray(format="rgb24")).max(axis=2) > 90
            for one, other in pairs
        ]
        assert abs(float(pairs[-1][0].time) - float(pairs[-1][1].time)) < 0.02
    assert min(each.sum() for each in far[:15]) > 300  # the box and its words
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []
    assert cli("identify", films["alone"], "--annotate", tmp_path / "out.txt").code == 2


def test_photos_and_videos_are_identified_together(cli, films, probe, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(films["alone"].read_bytes()[:40])
    done = cli("identify", probe, films["alone"], tmp_path / "broken.mp4", "--json")
    assert done.code == 3
    photo, *tracks, _, broken = done.lines
    assert photo["answers"][0]["decision"] == "match"
    assert tracks[0]["person"]["name"] == photo["answers"][0]["person"]["name"]
    assert broken["error"]["code"] == "video_unusable"


def test_a_stream_is_opened_again_where_it_breaks_off(cli, films, names, tmp_path):
    out = tmp_path / "live.mkv"
    with rtsp_server(films["stream"], seconds=8.0, most_s=2.5) as server:
        done = cli("identify", server.address, "--for", "6", "--json", "--annotate", out)
    assert done.code == 0, done.err
    assert server.visits >= 2
    assert "opened again in 0.5 s" in done.err
    *tracks, end = done.lines
    assert {line["person"]["name"] for line in tracks if line["decision"] == "match"} == {names[0]}
    assert sum(line["event"] == "track" for line in tracks) == end["tracks"] >= 1
    assert out.stat().st_size > 10_000


def test_a_stream_gives_a_first_answer_and_ctrl_c_ends_it_in_good_order(start, films, gallery_path, names):
    with rtsp_server(films["stream"], seconds=8.0) as server:
        process = start("identify", server.address, "--json", LIKENESS_GALLERY=str(gallery_path))
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert (first["event"], first["person"]["name"]) == ("first", names[0])
    last = [json.loads(line) for line in out.splitlines()]
    assert [line["event"] for line in last] == ["track", "end"]


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("camera:97", 3, "no camera 97"),
        ("rtsp://127.0.0.1:9/x", 8, "Connection refused"),
        ("ftp://127.0.0.1/x", 2, "not read by ftp"),
    ],
)
def test_what_cannot_be_watched_is_said_plainly(cli, path, code, words):
    done = cli("identify", path)
    assert (done.code, words in done.err) == (code, True), done.err


def test_a_streams_password_is_never_shown(cli, films):
    with rtsp_server(films["stream"], seconds=8.0, password=True) as server:
        done = cli("identify", server.address.replace("//", "//me:secret@"), "--for", "3")
    assert done.code == 8
    assert "secret" not in done.out + done.err
