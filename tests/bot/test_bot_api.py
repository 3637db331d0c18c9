"""The bot's way to the API: how long a busy server is asked again."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from likeness.bot import api as bot_api
from likeness.bot.api import Api
from likeness.errors import ApiRefused, Unreachable


@pytest.mark.parametrize("wait", ["0", "00", "²", "soon"])
def test_a_server_that_stays_busy_is_not_asked_without_end(monkeypatch, wait):
    monkeypatch.setattr(bot_api, "PATIENCE_S", 1.2)
    asked = []

    async def busy(request: web.Request) -> web.Response:
        asked.append(request.path)
        error = {"code": "overloaded", "message": "busy"}
        return web.json_response({"error": error}, status=503, headers={"Retry-After": wait})

    async def ask() -> None:
        app = web.Application()
        app.router.add_get("/{rest:.*}", busy)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            async with Api(f"http://127.0.0.1:{port}") as api:
                await api.ready()
        finally:
            await runner.cleanup()

    with pytest.raises((ApiRefused, Unreachable)):
        asyncio.run(asyncio.wait_for(ask(), 20))
    assert len(asked) <= 4
