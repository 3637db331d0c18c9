"""A Bot API server on this machine that speaks Telegram's protocol, and people who write to the bot through it."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import web
from PIL import Image
from telegram_rules import CAPTION_MOST, TEXT_MOST, Refused, expect_buttons, expect_photo, shown_text

ME = {"id": 4242, "is_bot": True, "first_name": "Likeness", "username": "LikenessBot"}
TOKEN = "4242:AAF1-a_made_up_token_of_35_letters_00"
FETCH_MOST_BYTES = 20_000_000
WAIT_S = 40


@dataclass
class Shown:
    """A message of the bot as a chat shows it."""

    number: int
    text: str
    photos: list[bytes] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    reply_to: int | None = None


@dataclass
class Person:
    """Somebody at a phone, in a chat of two or in a group."""

    telegram: Telegram
    chat: int
    kind: str = "private"
    user: int = 0
    shown: list[Shown] = field(default_factory=list)
    toasts: list[str] = field(default_factory=list)
    seen: int = 0

    def write(self, text: str, **rest: Any) -> int:
        """Send words; gives the message's number."""
        return self._send(text=text, **rest)

    def send_photo(self, data: bytes, **rest: Any) -> int:
        """Send a photo."""
        return self._send(photo=self.telegram.sizes_of(data), **rest)

    def send_file(self, data: bytes, mime: str, size: int | None = None, **rest: Any) -> int:
        """Send a file as it is; `size` is what Telegram says of it."""
        held = self.telegram.keep(data)
        return self._send(document=held | {"mime_type": mime, "file_size": size or len(data)}, **rest)

    def press(self, text: str) -> None:
        """Press a button of the latest message that has one of that text."""
        message, data = next(
            (each, data) for each in reversed(self.shown) for label, data in each.buttons if label == text
        )
        inside = {"message_id": message.number, "date": 1, "chat": self._chat(), "from": ME, "text": message.text}
        query = {"id": str(next(self.telegram.numbers)), "from": self._user(), "chat_instance": "1", "data": data}
        self.telegram.queries.add(query["id"])
        self.telegram.queue({"callback_query": query | {"message": inside}})

    def next(self, within_s: float = WAIT_S) -> Shown:
        """The next message of the bot."""
        self.telegram.wait_until(lambda: len(self.shown) > self.seen, within_s)
        self.seen += 1
        return self.shown[self.seen - 1]

    def read(self, number: int, words: str, within_s: float = WAIT_S) -> str:
        """A message's text once it has these words: it may be changed after it was sent."""

        def text() -> str:
            return next(each.text for each in self.shown if each.number == number)

        self.telegram.wait_until(lambda: words in text(), within_s)
        return text()

    def _send(self, **content: Any) -> int:
        number = next(self.telegram.numbers)
        told = {"message_id": number, "date": int(time.time()), "chat": self._chat(), "from": self._user()}
        self.telegram.messages[self.chat, number] = told | content
        self.telegram.queue({"message": told | content})
        return number

    def _chat(self) -> dict[str, Any]:
        named = {"first_name": "Quentin"} if self.kind == "private" else {"title": "Friends"}
        return {"id": self.chat, "type": self.kind} | named

    def _user(self) -> dict[str, Any]:
        return {"id": self.user or self.chat, "is_bot": False, "first_name": "Quentin", "username": "quentin_q"}


class Telegram:
    """The server: who is there, what waits for the bot, and what goes wrong when the test says so."""

    def __init__(self) -> None:
        self.url = ""
        self.numbers = count(1000)
        self.people: dict[int, Person] = {}
        self.messages: dict[tuple[int, int], dict[str, Any]] = {}
        self.queries: set[str] = set()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.blocked: set[int] = set()
        self.failures: list[tuple[str, Refused]] = []
        self.token = TOKEN
        self.files: dict[str, bytes] = {}
        self._updates: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._polls = 0

    def person(self, chat: int, kind: str = "private", user: int = 0) -> Person:
        """Somebody new."""
        self.people[chat] = Person(self, chat, kind, user)
        return self.people[chat]

    def queue(self, update: dict[str, Any]) -> None:
        """Something for the bot."""
        with self._changed:
            self._updates.append({"update_id": next(self.numbers)} | update)

    def waiting(self) -> int:
        """How many updates the bot has not confirmed."""
        return len(self._updates)

    def keep(self, data: bytes) -> dict[str, Any]:
        """A file on the server, as messages name it."""
        name = f"F{next(self.numbers)}"
        self.files[name] = data
        return {"file_id": name, "file_unique_id": f"u{hash(data) & 0xFFFFFFFF:08x}", "file_size": len(data)}

    def sizes_of(self, data: bytes) -> list[dict[str, Any]]:
        """A photo in two sizes, smaller first."""
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            small, out = image.convert("RGB"), io.BytesIO()
            small.thumbnail((90, 90))
            small.save(out, "JPEG")
        thumb = self.keep(out.getvalue()) | {"width": small.width, "height": small.height}
        return [thumb, self.keep(data) | {"width": width, "height": height}]

    def wait_until(self, holds: Callable[[], bool], within_s: float = WAIT_S) -> None:
        """Come back once something holds."""
        with self._changed:
            assert self._changed.wait_for(holds, within_s), f"it did not come about within {within_s} s"

    async def answer(self, request: web.Request) -> web.Response:
        """One call of a method."""
        method = request.match_info["method"].lower()  # clients write them in mixed case
        try:
            if request.match_info["token"] != self.token:
                raise Refused(401, "Unauthorized")
            form = await request.post()
            given: dict[str, Any] = {
                name: value.file.read() if isinstance(value, web.FileField) else value for name, value in form.items()
            }
            self.asked.append((method, given))
            self._fail_if_told(method)
            work = getattr(self, f"_{method}", None)
            if work is None:
                raise Refused(404, "Not Found: method not found")
            result = await work(given)
        except Refused as error:
            told = {"ok": False, "error_code": error.status, "description": error.description}
            if error.parameters:
                told["parameters"] = dict(error.parameters)
            return web.json_response(told, status=error.status)
        with self._changed:
            self._changed.notify_all()
        return web.json_response({"ok": True, "result": result})

    async def give_file(self, request: web.Request) -> web.Response:
        """A file's bytes."""
        if request.match_info["token"] != self.token:
            return web.Response(status=404)
        return web.Response(body=self.files[request.match_info["name"]])

    def _fail_if_told(self, method: str) -> None:
        for at, (name, error) in enumerate(self.failures):
            if name == method:
                del self.failures[at]
                raise error

    async def _getme(self, given: dict[str, Any]) -> dict[str, Any]:
        return ME | {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}

    async def _deletewebhook(self, given: dict[str, Any]) -> bool:
        return True

    async def _setmycommands(self, given: dict[str, Any]) -> bool:
        for each in json.loads(given["commands"]):
            if not (1 <= len(each["command"]) <= 32 and 1 <= len(each["description"]) <= 256):
                raise Refused(400, "Bad Request: BOT_COMMAND_INVALID")
        return True

    async def _sendchataction(self, given: dict[str, Any]) -> bool:
        self._whom(given)
        return True

    async def _getupdates(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """Wait for updates; those below the offset are confirmed, and an older wait gives way to a newer one."""
        self._polls += 1
        mine = self._polls
        offset, limit = int(given.get("offset", 0)), int(given.get("limit", 100))
        allowed = json.loads(given.get("allowed_updates", "[]"))
        with self._changed:
            self._updates = [each for each in self._updates if each["update_id"] >= offset]
        end = time.monotonic() + float(given.get("timeout", 0))
        while True:
            found = [each for each in self._updates if not allowed or any(kind in each for kind in allowed)]
            if found or time.monotonic() >= end:
                return found[:limit]
            await asyncio.sleep(0.02)
            if self._polls != mine:
                raise Refused(409, "Conflict: terminated by other getUpdates request")

    async def _sendmessage(self, given: dict[str, Any]) -> dict[str, Any]:
        text = shown_text(given.get("text", ""), given.get("parse_mode"), TEXT_MOST, "message text")
        return self._show(given, text)

    async def _sendphoto(self, given: dict[str, Any]) -> dict[str, Any]:
        return self._show(given, _caption(given), [_attached(given, given["photo"])])

    async def _sendmediagroup(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        media = json.loads(given["media"])
        if not 2 <= len(media) <= 10:
            raise Refused(400, "Bad Request: expected 2 to 10 media")
        text = "\n".join(filter(None, (_caption(each) for each in media)))
        return [self._show(given, text, [_attached(given, each["media"]) for each in media])]

    async def _getfile(self, given: dict[str, Any]) -> dict[str, Any]:
        data = self.files.get(given["file_id"])
        if data is None:
            raise Refused(400, "Bad Request: invalid file_id")
        if len(data) > FETCH_MOST_BYTES:
            raise Refused(400, "Bad Request: file is too big")
        name = given["file_id"]
        return {"file_id": name, "file_unique_id": name, "file_size": len(data), "file_path": f"photos/{name}"}

    async def _answercallbackquery(self, given: dict[str, Any]) -> bool:
        if given["callback_query_id"] not in self.queries:
            raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self.queries.remove(given["callback_query_id"])
        for person in self.people.values():
            person.toasts += [given["text"]] if given.get("text") else []
        return True

    async def _editmessagetext(self, given: dict[str, Any]) -> dict[str, Any]:
        person = self._whom(given)
        held = next((each for each in person.shown if each.number == int(given["message_id"])), None)
        if held is None:
            raise Refused(400, "Bad Request: message to edit not found")
        text = shown_text(given["text"], given.get("parse_mode"), TEXT_MOST, "message text")
        if text == held.text:
            raise Refused(400, "Bad Request: message is not modified")
        held.text, held.buttons = text, expect_buttons(json.loads(given.get("reply_markup", "{}")))
        return self._told(person, held)

    def _whom(self, given: dict[str, Any]) -> Person:
        chat = int(given["chat_id"])
        if chat not in self.people:
            raise Refused(400, "Bad Request: chat not found")
        if chat in self.blocked:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        return self.people[chat]

    def _show(self, given: dict[str, Any], text: str, photos: list[bytes] | None = None) -> dict[str, Any]:
        person = self._whom(given)
        reply = json.loads(given.get("reply_parameters", "{}"))
        known = reply.get("message_id") is None or (person.chat, reply["message_id"]) in self.messages
        if not known and not reply.get("allow_sending_without_reply"):
            raise Refused(400, "Bad Request: message to be replied not found")
        buttons = expect_buttons(json.loads(given.get("reply_markup", "{}")))
        shown = Shown(next(self.numbers), text, photos or [], buttons, reply.get("message_id") if known else None)
        person.shown.append(shown)
        return self._told(person, shown)

    def _told(self, person: Person, shown: Shown) -> dict[str, Any]:
        content: dict[str, Any] = {"text": shown.text}
        if shown.photos:
            width, height = expect_photo(shown.photos[0])
            content = {
                "caption": shown.text,
                "photo": [self.keep(shown.photos[0]) | {"width": width, "height": height}],
            }
        told = {"message_id": shown.number, "date": 1, "chat": person._chat(), "from": ME} | content
        self.messages[person.chat, shown.number] = told
        return told


def _caption(given: dict[str, Any]) -> str:
    caption = given.get("caption")
    return shown_text(caption, given.get("parse_mode"), CAPTION_MOST, "message caption") if caption else ""


def _attached(given: dict[str, Any], named: Any) -> bytes:
    data = given[named.removeprefix("attach://")] if isinstance(named, str) else named
    expect_photo(data)
    return bytes(data)


@contextmanager
def telegram_server() -> Iterator[Telegram]:
    """The server, while it runs in a thread of its own."""
    telegram, loop, ready = Telegram(), asyncio.new_event_loop(), threading.Event()
    app = web.Application(client_max_size=50_000_000)
    app.router.add_route("*", "/bot{token}/{method}", telegram.answer)
    app.router.add_get("/file/bot{token}/photos/{name}", telegram.give_file)
    runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        telegram.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(20)
    try:
        yield telegram
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        assert not thread.is_alive()
