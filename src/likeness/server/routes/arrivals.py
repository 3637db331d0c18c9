"""Photos that arrived by themselves: what became of them, for those who look after the server."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool

from likeness.server.access import KeyFirst
from likeness.server.context import Admin, Here, errors
from likeness.server.job_schemas import ArrivalsAnswer

router = APIRouter(prefix="/v1/arrivals", route_class=KeyFirst)


@router.get("", response_model=ArrivalsAnswer, responses=errors(404))
async def list_arrivals(
    actor: Admin,
    here: Here,
    after: Annotated[str | None, Query(max_length=64, description="The id of the last photo that was seen.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Any:
    """List photos of watched places and buckets' events that ended: the latest, or those behind one."""
    photos = await run_in_threadpool(here.arrivals().ended, after=after, most=limit)
    return {"photos": photos, "after": photos[-1]["id"] if photos else after}
