"""Whether the server lives and answers, and its metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

import likeness
from likeness.server.access import KeyFirst
from likeness.server.context import Here, Reader, errors
from likeness.server.pulse import Pulse
from likeness.server.schemas import HealthAnswer, ReadyAnswer

router = APIRouter(route_class=KeyFirst)


@router.get("/v1/health", response_model=HealthAnswer)
async def health() -> dict[str, str]:
    """Say that the process lives. Needs no key."""
    return {"status": "ok", "version": likeness.__version__}


@router.get("/v1/ready", response_model=ReadyAnswer, responses={503: {"model": ReadyAnswer}})
async def ready(here: Here) -> Any:
    """Say whether requests are answered: models loaded, gallery open, room to wait. Needs no key."""
    reasons = []
    waiting = here.engine.waiting
    if here.engine.closed:
        reasons.append("the server is about to end")
    if waiting >= here.settings.serve_queue:
        reasons.append("no room to wait")
    pulse: Pulse = here.request.app.state.pulse
    if not reasons and not await pulse.beats():
        reasons.append("the gallery does not answer")
    answer = {"status": "not ready" if reasons else "ready", "waiting": waiting, "reasons": reasons}
    return JSONResponse(answer, 503) if reasons else answer


@router.get("/metrics", response_class=Response, responses=errors() | {200: {"content": {"text/plain": {}}}})
async def metrics(request: Request, actor: Reader, here: Here) -> Response:
    """Metrics for Prometheus: requests by route, time by stage, what waits."""
    here.engine.metrics.waiting.set(here.engine.waiting)
    return Response(here.engine.metrics.text(), media_type=here.engine.metrics.content_type)
