"""The bot as a whole: opened, told whom it serves, run until it is to end, closed in order."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from aiogram import Bot, Dispatcher
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import AiogramError, TelegramNotFound, TelegramUnauthorizedError
from aiogram.types import BotCommand, Update, User
from aiogram.utils.token import TokenValidationError

from likeness.bot import words
from likeness.bot.api import Api
from likeness.bot.desk import LOGGER, Desk
from likeness.bot.handlers import make_router
from likeness.bot.passing import Admission, Telling, Turns
from likeness.bot.polling import Patience, poll, token_refused
from likeness.bot.state import State
from likeness.bot.token import token_of
from likeness.errors import LikenessError
from likeness.settings import Settings

_FIRST_BACK_OFF_S = 1.0
_LONGEST_BACK_OFF_S = 30.0

Source = Callable[[Bot, Callable[[Update], Awaitable[None]], asyncio.Event], Awaitable[None]]
"""Where updates come from."""


async def run(settings: Settings, stop: asyncio.Event, say: Callable[[str], None], source: Source = poll) -> None:
    """Answer until `stop` is set. `say` is told when it begins, and what somebody should know.

    Raises:
        SettingsError: there is no token, Telegram refuses it, or an address cannot be used.
        Conflict: the state is of another token. StorageError: it cannot be kept.
    """
    token = token_of(settings)
    _quiet_libraries()
    async with AsyncExitStack() as stack:
        bot = _open_bot(settings, token)
        stack.push_async_callback(bot.session.close)
        api = await stack.enter_async_context(Api(settings.bot_api, settings.bot_key.get_secret_value()))
        state = stack.enter_context(State(settings.bot_state, settings.bot_secret.get_secret_value() or token))
        me = await _introduced(bot, stop)
        if me is None:
            return
        await _look_at_api(api, say)
        if not settings.bot_chats:
            say("no chat is let in yet: write to the bot, it tells the chat's number for --chats (any: everybody)")
        dispatcher = _dispatcher(Desk(settings, api, state, bot), me)

        async def handle(update: Update) -> None:
            await dispatcher.feed_update(bot, update)

        say(f"the bot @{me.username} answers")
        LOGGER.info("begins")
        await source(bot, handle, stop)
        LOGGER.info("ends")


def run_until_signalled(settings: Settings, say: Callable[[str], None], source: Source = poll) -> None:
    """Run until SIGTERM or Ctrl-C: then answers that are being given are finished. A second signal breaks them off."""

    async def main() -> None:
        stop = asyncio.Event()
        loop, running = asyncio.get_running_loop(), asyncio.current_task()
        assert running is not None  # asyncio.run made it

        def told() -> None:
            if stop.is_set():
                running.cancel()
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told)
        await run(settings, stop, say, source)

    try:
        asyncio.run(main())
    except asyncio.CancelledError:  # by the second signal
        raise KeyboardInterrupt from None


def _open_bot(settings: Settings, token: str) -> Bot:
    server = TelegramAPIServer.from_base(settings.bot_telegram)
    own = DefaultBotProperties(parse_mode="HTML", link_preview_is_disabled=True)
    try:
        bot = Bot(token, session=AiohttpSession(api=server), default=own)
    except TokenValidationError:
        raise token_refused() from None
    bot.session.middleware(Patience())
    return bot


async def _introduced(bot: Bot, stop: asyncio.Event) -> User | None:
    """Who the bot is, once Telegram says so; None where it was to end before.

    Raises:
        SettingsError: Telegram refuses the token.
    """
    back_off_s = _FIRST_BACK_OFF_S
    while not stop.is_set():
        try:
            me = await bot.me()
            # A webhook that was set once keeps messages from being polled.
            await bot.delete_webhook()
            await bot.set_my_commands([BotCommand(command=name, description=what) for name, what in words.COMMANDS])
            return me
        except (TelegramUnauthorizedError, TelegramNotFound):
            raise token_refused() from None
        except AiogramError as error:
            facts = {"error": type(error).__name__, "again_in_s": back_off_s}
            LOGGER.warning("Telegram does not answer as it should", extra=facts)
            try:
                await asyncio.wait_for(stop.wait(), back_off_s)
            except TimeoutError:
                back_off_s = min(2 * back_off_s, _LONGEST_BACK_OFF_S)
    return None


async def _look_at_api(api: Api, say: Callable[[str], None]) -> None:
    """Say what is wrong with the API, if anything; the bot goes on, as it may come right."""
    try:
        await api.ready()
        if not await api.may_erase():
            say("the key bot_key may not erase: nobody can enrol by the bot (make one with --scope admin)")
    except LikenessError as error:
        LOGGER.warning("the API does not serve the bot yet", extra={"code": error.code})
        say(f"the API does not serve the bot yet: {error.message}")


def _dispatcher(desk: Desk, me: User) -> Dispatcher:
    dispatcher = Dispatcher(disable_fsm=True, desk=desk, me=me.username or "", bot_id=me.id)
    dispatcher.include_router(make_router())
    admission = Admission(desk.settings.bot_chats, desk.settings.bot_rate_per_minute)
    telling, turns = Telling(), Turns()
    for observer in (dispatcher.message, dispatcher.callback_query):
        for middleware in (telling, admission, turns):
            observer.outer_middleware(middleware)
    return dispatcher


def _quiet_libraries() -> None:
    """Their lines hold names, numbers of chats and, in addresses, the token; ours say what matters."""
    for name in ("aiogram", "aiohttp"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [logging.NullHandler()], False
