"""Videos to frames: even steps, upright, and nothing but what the file itself holds."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest

from likeness.errors import ExtraMissing, VideoUnusable
from likeness.vision.video import read_frames
from moving_face import FPS, SIZE_PX, frames, write_video


@pytest.fixture(scope="module")
def film(tmp_path_factory, samples):
    return write_video(tmp_path_factory.mktemp("film") / "film.webm", samples / "probes" / "stranger_1.jpg", 2.0)


def test_frames_come_every_100_ms_and_look_as_they_were_filmed(film, samples):
    found = list(read_frames(film))
    times = [frame.time_s for frame in found]
    assert times[0] == 0
    assert len(found) == 20
    assert np.abs(np.array(times) - np.arange(20) / 10).max() <= 1 / FPS + 1e-6
    filmed = list(frames(samples / "probes" / "stranger_1.jpg", 2.0))
    for frame in found[::5]:
        there = filmed[round(frame.time_s * FPS)]
        assert frame.pixels.shape == (SIZE_PX[1], SIZE_PX[0], 3)
        assert np.abs(frame.pixels.astype(int) - there).mean() < 8


def test_bytes_are_read_as_the_file_and_every_frame_where_no_step_is_asked_for(film):
    assert len(list(read_frames(film.read_bytes(), every_s=0))) == 2 * FPS


def test_a_small_file_of_very_many_frames_in_no_time_is_refused(tmp_path):
    import av

    path = tmp_path / "bomb.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=1000)
        stream.width = stream.height = 16
        stream.options = {"deadline": "realtime", "cpu-used": "8"}
        black = np.zeros((16, 16, 3), np.uint8)
        for number in range(1500):
            frame = av.VideoFrame.from_ndarray(black)
            frame.pts, frame.time_base = number // 8, Fraction(1, 1000)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = number // 8
                container.mux(packet)
    with pytest.raises(VideoUnusable, match="frames a second"):
        list(read_frames(path))


def test_what_lies_after_the_limit_is_not_read(film):
    assert max(frame.time_s for frame in read_frames(film, most_s=0.5)) <= 0.5


def test_a_video_that_breaks_off_gives_the_frames_before(film):
    data = film.read_bytes()
    assert 3 < len(list(read_frames(data[: len(data) * 2 // 3]))) < 20


def test_a_phones_turned_video_comes_upright(tmp_path, samples):
    import av

    plain = write_video(tmp_path / "plain.mp4", samples / "probes" / "stranger_1.jpg", 0.4, codec="mpeg4")
    data = bytearray(plain.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    quarter = [0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30]  # the track's matrix: a quarter turn to the right
    data[place : place + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in quarter)
    with av.open(io.BytesIO(bytes(data))) as container:
        assert next(container.decode(video=0)).rotation != 0
    [upright] = list(read_frames(bytes(data)))[:1]
    [lying] = list(read_frames(plain))[:1]
    assert np.abs(upright.pixels.astype(int) - np.rot90(lying.pixels, -1)).max() == 0


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"not a video at all, but a text", "a text"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n", "a playlist that names a file"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "a list of files"),
        (b"\x1a\x45\xdf\xa3" + bytes(200), "the head of one, and no more"),
        (bytes(4) + b"ftypisom" + bytes(64), "the head of one, and no more"),
    ],
)
def test_what_is_no_video_is_refused_in_words(data, why):
    with pytest.raises(VideoUnusable):
        list(read_frames(data))


def test_a_sound_recording_is_refused(tmp_path):
    import av

    target = tmp_path / "sound.mkv"
    with av.open(str(target), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        sound.rate = 8000
        for packet in [*stream.encode(sound), *stream.encode()]:
            container.mux(packet)
    with pytest.raises(VideoUnusable, match="no moving pictures"):
        list(read_frames(target))


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(film):
    with pytest.raises(VideoUnusable, match="480 x 360"):
        list(read_frames(film, most_pixels=100_000))


def test_without_the_extra_the_error_says_what_to_install(film, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ExtraMissing, match="PyAV") as told:
        list(read_frames(film))
    assert told.value.hint == "pip install 'likeness[video]'"
