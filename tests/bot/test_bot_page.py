"""The bot's page names every setting and option."""

from __future__ import annotations

from pathlib import Path

from likeness.cli.api_reference import bot_reference, written

PAGE = Path(__file__).parents[2] / "docs" / "bot.md"


def test_every_setting_and_option_of_the_bot_is_documented() -> None:
    page = PAGE.read_text("utf-8")
    assert page == written(page, bot_reference), "run `python -m likeness.cli.api_reference docs/bot.md`"
    assert "| `bot_token` |" in page
    assert "| `--token-file` |" in page
