"""`likeness bot`: the Telegram bot."""

from __future__ import annotations

from pathlib import Path

import click

from likeness.bot.token import token_of
from likeness.cli.flags import Flags, common_options
from likeness.errors import ExtraMissing, SettingsError
from likeness.logs import write_logs


@click.command()
@click.option("--api", metavar="URL", help="Address of the Likeness API; http://127.0.0.1:8000 unless set.")
@click.option("--chats", metavar="LIST", help="Numbers of the chats that are answered, with commas; or any.")
@click.option("--rate", type=float, metavar="N", help="Photos a minute that one chat may send; 0 is no limit.")
@click.option("--state", metavar="FILE", help="File that keeps which chat (as a hash) enrolled whom.")
@click.option("--token-file", type=click.Path(exists=True, dir_okay=False), help="File with the bot's token.")
@click.option("--key-file", type=click.Path(exists=True, dir_okay=False), help="File with the key for the API.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What is logged, from this level on.",
)
@common_options
@click.pass_obj
def bot(
    flags: Flags,
    /,
    api: str | None,
    chats: str | None,
    rate: float | None,
    state: str | None,
    token_file: str | None,
    key_file: str | None,
    log_level: str,
) -> None:
    """Answer photos in Telegram: ages, lookalikes, enrolment with consent.

    Whoever sends a photo is told each face's age, apparent gender and nearest lookalike. The bot asks a running
    `likeness serve` and never opens the gallery. Its token comes from Telegram's BotFather, by LIKENESS_BOT_TOKEN,
    the settings file or --token-file; the key for the API likewise (LIKENESS_BOT_KEY, --key-file). Logs are lines of
    JSON on stderr, without personal data. Ctrl-C or SIGTERM ends it after the answers that are being given.
    """
    given = {
        "bot_api": api,
        "bot_chats": chats,
        "bot_rate_per_minute": rate,
        "bot_state": state,
        "bot_token": _secret(token_file),
        "bot_key": _secret(key_file),
    }
    flags.values |= {name: value for name, value in given.items() if value is not None}
    settings = flags.settings
    token_of(settings)  # said at once where there is none
    try:
        from likeness.bot.running import run_until_signalled
    except ImportError as error:
        raise ExtraMissing(f"this needs {error.name}", hint="pip install 'likeness[bot]'") from error
    write_logs(("likeness.bot",), level=log_level)
    run_until_signalled(settings, flags.output.say)


def _secret(path: str | None) -> str | None:
    """What a file holds, which is not put on the command line, where others can read it."""
    if path is None:
        return None
    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    if not text:
        raise SettingsError(f"{path} is empty")
    return text
