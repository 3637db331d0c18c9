"""Jobs: what waits and runs, how far it is, and what workers could not do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
from fastapi.concurrency import run_in_threadpool

from likeness.errors import LikenessError
from likeness.intake.answers import job_dict
from likeness.intake.queues import DeadLetter, Depth
from likeness.server.ui.desk import Desk, told
from likeness.server.ui.inputs import answer_place, lead, quiet_place
from likeness.server.ui.markup import card, count, line, meter, sealed, table, tag

if TYPE_CHECKING:
    from likeness.intake.office import Office

REFRESHED_S = 3.0
TONES = {"queued": "perhaps", "running": "perhaps", "done": "good", "failed": "bad", "cancelled": "none"}
STEPS = {
    "detect": "find faces and cut them out",
    "identify": "tell age, gender and who it is",
    "enrol": "enrol photos that came with a name",
    "tell": "tell those who asked to be told",
}


def jobs_page(desk: Desk, tab: gr.Tab, tabs: gr.Tabs) -> None:
    """Lay the page out and wire it; while it is the one of `tabs` that is open, it is brought up to date."""
    lead("Long work of this server, and photos that workers answer when their turn comes.")
    answer = answer_place("Looking at the jobs…", elem_id="jobs-answer")
    with gr.Row():
        visible = desk.settings.serve_workers
        revive = gr.Button("Try dead letters again", elem_id="jobs-revive", size="sm", visible=visible)
    outcome = quiet_place(elem_id="jobs-outcome")
    timer = gr.Timer(REFRESHED_S, active=False)

    @told()
    async def show(request: gr.Request) -> str:
        return await run_in_threadpool(_page, desk, desk.owner(request))

    @told()
    async def try_again(request: gr.Request) -> str:
        desk.actor(request, "admin")
        revived = await run_in_threadpool(_revive, desk)
        return sealed(card(line(f"{count(revived, 'message')} will be tried again.")))

    def wind(chosen: gr.SelectData) -> gr.Timer:
        return gr.Timer(active=chosen.value == tab.label)

    events: Any = (tab.select, timer.tick)
    for event in events:
        event(show, None, [answer], show_progress="hidden", api_visibility="private")
    tabs.select(wind, None, [timer], show_progress="hidden", api_visibility="private")
    revive.click(try_again, None, [outcome], api_visibility="private")


def _page(desk: Desk, owner: str | None) -> str:
    """The page for an owner of jobs; None sees all."""
    office: Office | None = desk.app.state.office
    jobs = [job.as_dict() for job in desk.app.state.jobs.latest(owner=owner)]
    parts = []
    if office is not None:
        jobs += [job_dict(job) for job in office.records.jobs(owner=owner)]
        depths = office.depths()
        parts.append(_queues(depths))
        if owner is None:
            parts.append(_dead(office.dead([name for name, depth in depths.items() if isinstance(depth, Depth)])))
    jobs.sort(key=lambda job: job["created_at"], reverse=True)
    return sealed(_jobs(jobs[:20]) + "".join(parts))


def _jobs(jobs: Sequence[dict[str, Any]]) -> str:
    if not jobs:
        return card(line("There are no jobs."), title="Jobs")
    rows = []
    for job in jobs:
        total = job["total"]
        share = job["done"] / total if total else 0.0
        words = f"{job['done']:,} of {total:,}" if total else f"{job['done']:,}"
        error = job["error"]["message"] if job["error"] else ""
        failed = (job["result"] or {}).get("failed", 0)
        began = job["created_at"].strftime("%Y-%m-%d %H:%M:%S UTC")
        rows.append(
            [
                line(job["kind"]) + line(job["id"], fine=True),
                tag(job["state"], TONES[job["state"]]) + line(error, fine=True),
                (meter(share, f"{words} done") if total else "") + line(words, fine=True) + _failures(failed),
                line(began, fine=True),
            ]
        )
    return card(table(["Job", "State", "Progress", "Since"], rows), title="Jobs")


def _failures(failed: int) -> str:
    """How many of a job's photos have no answer; the job itself is done all the same."""
    return line(f"{count(failed, 'photo')} without an answer", fine=True) if failed else ""


def _queues(depths: Mapping[str, Depth | LikenessError]) -> str:
    rows = []
    for name, depth in depths.items():
        cells = [line(name) + line(STEPS[name], fine=True)]
        if isinstance(depth, LikenessError):
            rows.append([*cells, tag("does not answer", "bad"), "", "", ""])
            continue
        numbers = [line(f"{number:,}") for number in (depth.ready, depth.waiting, depth.leased)]
        rows.append([*cells, *numbers, tag(f"{depth.dead:,}", "bad" if depth.dead else "good")])
    head = ["Step", "Ready", "Later", "In hand", "Dead"]
    return card(table(head, rows), title="What waits for workers")


def _dead(letters: Sequence[tuple[str, DeadLetter]]) -> str:
    if not letters:
        return ""
    rows = [
        [line(step), line(letter.reason), line(letter.died_at.strftime("%Y-%m-%d %H:%M:%S UTC"), fine=True)]
        for step, letter in letters
    ]
    return card(table(["Step", "Why", "When"], rows), title="What workers could not do")


def _revive(desk: Desk) -> int:
    office: Office | None = desk.app.state.office
    return 0 if office is None else sum(office.queues.queue(name).revive() for name in STEPS)
