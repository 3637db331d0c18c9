"""What the bot answers to photos and words, between a Bot API server and a real Likeness server."""

from __future__ import annotations

import io
import re

import pytest
from bot_api_server import Refused
from PIL import Image

pytestmark = pytest.mark.usefixtures("bot")


@pytest.fixture
def somebody(telegram):
    """Somebody in a chat of two with the bot."""
    return telegram.person(77_001)


def size(picture: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(picture)) as image:
        return image.size


def test_a_photo_is_answered_with_name_age_gender_and_the_lookalikes_pictures(somebody, samples) -> None:
    asked = somebody.send_photo((samples / "probes" / "Nadia_Okafor_new.jpg").read_bytes())
    told = somebody.next()
    assert told.reply_to == asked
    assert "This is Nadia Okafor, over 99.9% probable" in told.text
    assert re.search(r"Looks \d+ years old \(\d+ to \d+ in 8 of 10 such faces\), apparent gender female", told.text)
    assert "Next nearest: " in told.text
    assert len(told.photos) == 1
    width, height = size(told.photos[0])
    assert width > height  # the face, and three lookalikes beside it


def test_a_stranger_is_nobody_known_with_the_reason_and_whom_they_look_like(somebody, samples) -> None:
    somebody.send_photo((samples / "probes" / "stranger_1.jpg").read_bytes())
    told = somebody.next()
    assert told.text.startswith("Nobody I know")
    assert "Looks most like " in told.text
    assert "Because nobody is near enough" in told.text
    assert len(told.photos) == 1


def test_of_several_faces_each_is_numbered_on_the_photo_sent_back(somebody, samples) -> None:
    photo = (samples / "group.jpg").read_bytes()
    somebody.send_photo(photo)
    told = somebody.next()
    faces = int(re.match(r"(\d+) faces, numbered", told.text)[1])
    assert faces > 1
    assert re.findall(r"^(\d+)\. ", told.text, re.MULTILINE) == [str(number) for number in range(1, faces + 1)]
    marked, sheet = told.photos
    given = size(photo)
    assert size(marked)[0] / size(marked)[1] == pytest.approx(given[0] / given[1], rel=0.01)
    assert size(sheet) != size(marked)


def test_a_photo_sent_as_a_file_is_answered_too(somebody, samples) -> None:
    somebody.send_file((samples / "probes" / "Mei_Hayashida_new.jpg").read_bytes(), "image/jpeg")
    assert "Mei Hayashida" in somebody.next().text


def test_a_photo_without_a_face_says_so(somebody, samples) -> None:
    somebody.send_photo((samples / "landscape.jpg").read_bytes())
    assert "no face" in somebody.next().text


def test_files_that_are_no_photos_and_files_that_are_too_large_are_refused_in_words(somebody, telegram) -> None:
    somebody.send_file(b"%PDF-1.7", "application/pdf")
    assert "photos only" in somebody.next().text
    somebody.send_file(b"not really", "image/png")
    assert "cannot read this kind of picture" in somebody.next().text
    somebody.send_file(b"short", "image/jpeg", size=25_000_000)
    assert "too large for me: up to 20 MB" in somebody.next().text
    somebody.send_file(b"\xff" * 20_000_001, "image/jpeg", size=1000)  # Telegram itself refuses to give it
    assert "too large" in somebody.next().text
    telegram.queue({"message": {"message_id": 1, "date": 1, "chat": somebody._chat(), "pinned_message": None}})
    somebody.write("hello")
    assert "Send me a photo" in somebody.next().text  # and nothing was said to what Telegram itself noted


def test_help_explains_and_says_what_happens_to_photos(somebody) -> None:
    for command in ("/start", "/help"):
        somebody.write(command)
        text = somebody.next().text
        assert "/forget" in text
        assert "What happens to your photo" in text
    somebody.write("/dance")
    assert "do not know that command" in somebody.next().text
    somebody.write("/help@AnotherBot")
    assert "do not know that command" in somebody.next().text


def test_in_a_group_only_what_names_the_bot_is_answered(telegram, samples) -> None:
    group = telegram.person(-100_500, "supergroup", user=9)
    photo = (samples / "probes" / "Nadia_Okafor_new.jpg").read_bytes()
    group.write("hello everybody")
    first = group.send_photo(photo)
    group.write("/enrol Anna")
    assert "a chat of our own" in group.next().text
    group.write("/who", reply_to_message=telegram.messages[group.chat, first])
    assert "Nadia Okafor" in group.next().text
    group.send_photo(photo, caption="@LikenessBot who is it?")
    assert "Nadia Okafor" in group.next().text
    group.write("/who")
    assert "Reply with /who" in group.next().text
    assert len(group.shown) == 4


def test_answers_are_sent_again_after_the_time_that_telegram_names(somebody, telegram) -> None:
    busy = Refused(429, "Too Many Requests: retry after 1", {"retry_after": 1})
    telegram.failures += [("sendmessage", busy), ("sendmessage", Refused(502, "Bad Gateway"))]
    somebody.write("/help")
    assert "Send me a photo" in somebody.next().text
    assert [method for method, _ in telegram.asked].count("sendmessage") == 3


def test_a_chat_that_blocked_the_bot_and_a_failed_poll_end_nothing(somebody, telegram) -> None:
    other = telegram.person(77_002)
    telegram.blocked.add(other.chat)
    telegram.failures.append(("getupdates", Refused(502, "Bad Gateway")))
    other.write("/help")
    somebody.write("/help")
    assert "Send me a photo" in somebody.next().text
    assert other.shown == []


def test_what_one_chat_sends_is_answered_in_its_order(somebody, samples) -> None:
    photo = (samples / "probes" / "stranger_2.jpg").read_bytes()
    sent = [somebody.send_photo(photo), somebody.write("hello"), somebody.send_photo(photo), somebody.write("there")]
    assert [somebody.next().reply_to for _ in sent] == sent
