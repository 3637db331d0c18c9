"""The bot's token; apart from what runs the bot, whose libraries take seconds to load."""

from __future__ import annotations

from likeness.errors import SettingsError
from likeness.settings import Settings


def token_of(settings: Settings) -> str:
    """What Telegram knows the bot by.

    Raises:
        SettingsError: there is none.
    """
    token = settings.bot_token.get_secret_value()
    if not token:
        raise SettingsError("the bot has no token", hint="get one from BotFather, and set LIKENESS_BOT_TOKEN")
    return token
