"""The web app: Gradio pages in the same process and on the same port as the API, at `/ui`.

Loaded only where it is asked for. Nothing is fetched from elsewhere and nothing is reported to anybody.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# Before Gradio is imported: it reads these then. Its maker is told nothing, and nothing is kept in the browser.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_RUN_HISTORY"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from likeness.server.app import Part
    from likeness.settings import Settings


def part(settings: Settings, open_access: bool) -> Part:
    """The web app as a part of the server."""
    from likeness.server.ui.app import web_part

    return web_part(settings, open_access)
