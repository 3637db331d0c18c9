"""The pages together: tabs on one address, mounted beside the API, and the door in front of them."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio import processing_utils, queueing, route_utils, routes
from starlette.routing import Mount

from likeness.errors import InputError
from likeness.server.app import Part
from likeness.server.failures import Failure, house_shape
from likeness.server.ui import page
from likeness.server.ui.calibration import calibration_page
from likeness.server.ui.compare import compare_page
from likeness.server.ui.desk import Desk
from likeness.server.ui.door import ROOT, STATIC, Door, Sessions, door_routes
from likeness.server.ui.enrol import enrol_page
from likeness.server.ui.jobs import jobs_page
from likeness.server.ui.mirror import mirror_page
from likeness.server.ui.people import people_page
from likeness.server.ui.theme import STYLE, theme
from likeness.server.ui.twin import twin_page
from likeness.server.ui.who import who_page
from likeness.settings import Settings

log = logging.getLogger("likeness.server")

POLICY = (
    "default-src 'none'; script-src 'self' blob: 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; manifest-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'"
)
"""The browser fetches from this server alone. Gradio's pages bring scripts in the page and make functions of text."""

UPLOADS_KEPT_S = 900
"""Uploads lie in a folder of the process's own for this long, to be asked about again."""
AT_ONCE = 8
"""Visitors whose requests are in hand together; the engine has a queue of its own behind them."""
EXAMPLES = 4


def web_part(settings: Settings, open_access: bool) -> Part:
    """The web app as a part of the server."""
    sessions = Sessions()

    def lay_out(app: FastAPI) -> None:
        desk = Desk(app, settings, sessions, _examples())
        _keep_to_ourselves()
        blocks = build(desk, open_access)
        gr.mount_gradio_app(
            app,
            blocks,
            ROOT,
            footer_links=[],
            run_history=False,
            show_error=False,
            max_file_size=settings.serve_body_bytes,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            pwa=False,
            allowed_paths=sorted({str(path.parent) for _, path in desk.examples}),
            theme=theme(),
            css_paths=STYLE,
            js=page.SPOKEN,
            head=page.HEAD,
        )

        # Gradio looks whether a path that a visitor names is an upload only where it believes that it serves the pages
        # itself; without this it would copy any file of this machine into the folder of uploads.
        blocks.has_launched = True
        pages: Any = next(route.app for route in app.routes if isinstance(route, Mount) and route.path == ROOT)
        app.state.ending.append(pages.stop_event.set)  # an open page holds a stream that ends with nothing else

    def mount(app: FastAPI) -> FastAPI:
        _within_a_loop(lambda: lay_out(app))
        app.add_middleware(Door, sessions=sessions)
        return app

    return Part(
        routers=(door_routes(sessions),),
        shapes={ROOT: _shape},
        mount=mount,
        policies={ROOT: POLICY},
        uncounted=STATIC,
    )


def build(desk: Desk, open_access: bool) -> gr.Blocks:
    """The pages."""
    with gr.Blocks(title="Likeness", analytics_enabled=False, delete_cache=(60, UPLOADS_KEPT_S)) as blocks:
        gr.HTML(page.head_of_page(open_access), js_on_load=None)
        with gr.Tabs(elem_id="pages") as tabs:
            with gr.Tab("Twin", id="twin"):
                twin_page(desk)
            with gr.Tab("Who is this?", id="who"):
                who_page(desk)
            with gr.Tab("Mirror", id="mirror"):
                mirror_page(desk)
            with gr.Tab("Compare", id="compare"):
                compare_page(desk)
            with gr.Tab("Enrol", id="enrol"):
                enrol_page(desk)
            with gr.Tab("People", id="people") as tab:
                people_page(desk, tab)
            with gr.Tab("Calibration", id="calibration") as tab:
                calibration_page(desk, tab)
            with gr.Tab("Jobs", id="jobs") as tab:
                jobs_page(desk, tab, tabs)
    blocks.queue(default_concurrency_limit=AT_ONCE, max_size=256, api_open=False)
    return blocks


def _examples() -> tuple[tuple[str, Path], ...]:
    """Faces to try, of invented people; none where the samples did not come with the installation."""
    from likeness.service.samples import samples_folder

    try:
        folder = samples_folder() / "probes"
    except InputError:
        return ()
    found = sorted(folder.glob("*_new.jpg"))[:: max(len(list(folder.glob("*_new.jpg"))) // EXAMPLES, 1)][:EXAMPLES]
    return tuple((path.stem.removesuffix("_new").replace("_", " "), path) for path in found)


class _Quiet:
    """Stands in for Gradio's printing of tracebacks, which hold what visitors sent: our log tells the places alone."""

    def print_exc(self) -> None:
        """Tell of the exception that is handled now."""
        log.warning("a page's request failed", exc_info=True)


def _keep_to_ourselves() -> None:
    """Uploads go into a folder that nobody else reads and that ends with the process, no address is ever fetched, and
    nothing that visitors send is printed.
    """
    if "GRADIO_TEMP_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="likeness-uploads-")
        os.environ["GRADIO_TEMP_DIR"] = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)

    async def refuse(url: str, cache_dir: str) -> str:
        raise InputError("the web app fetches nothing from addresses", hint="upload the photo")

    processing_utils.async_ssrf_protected_download = refuse
    for module in (queueing, routes, route_utils):
        setattr(module, "traceback", _Quiet())  # noqa: B010 - no attribute that Gradio declares


def _within_a_loop(make: Callable[[], None]) -> None:
    """Make pages while an event loop runs: where none does, Gradio makes several and leaves them open."""

    async def made() -> None:
        make()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(made())
    else:
        make()


def _shape(failure: Failure, request_id: str) -> dict[str, Any]:
    """Errors as the API's, and in the one field that Gradio's pages read out."""
    return house_shape(failure, request_id) | {"detail": failure.message}
