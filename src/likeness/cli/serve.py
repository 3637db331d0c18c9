"""`likeness serve`: the API, and the web app where it is asked for."""

from __future__ import annotations

import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, common_options
from likeness.errors import ExtraMissing, SettingsError

if TYPE_CHECKING:
    from likeness.server.app import Part
    from likeness.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port.")
@click.option("--ui", is_flag=True, help="Also show the web app, at /ui; the address's root leads there.")
@click.option("--compatible", multiple=True, metavar="NAME", help="Also speak as compreface or deepface.")
@click.option("--demo", is_flag=True, help="Use a temporary gallery with the sample people instead of yours.")
@click.option("--workers", is_flag=True, help="Take photos for workers (`likeness worker`) as jobs.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False), help="Certificate (PEM), to speak TLS.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="Its private key (PEM).")
@click.option("--require-key", is_flag=True, help="Want an API key also from this machine.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--otel", is_flag=True, help="Send traces to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names.")
@common_options
@click.pass_obj
def serve(flags: Flags, /, host: str, port: int, ui: bool, **options: Any) -> None:
    """Answer over HTTP: the REST API and, with --ui, a web app.

    Unless it is reached from this machine alone, it does not start without an API key (`likeness keys create`); where
    any key was made, every request needs one. Logs are lines of JSON on stderr, without personal data. Ctrl-C or
    SIGTERM ends it after the requests that are being answered.
    """
    try:
        from likeness.server import serving
        from likeness.server.app import create_app
        from likeness.server.keys import KeyStore
        from likeness.server.logs import set_up_logs
        from likeness.server.middleware import is_loopback
    except ImportError as error:
        raise ExtraMissing(
            f"this needs {error.name}", hint=f"pip install 'likeness[{'ui' if ui else 'serve'}]'"
        ) from error
    if bool(options["tls_cert"]) != bool(options["tls_key"]):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    if options["tls_cert"]:
        serving.expect_certificate(options["tls_cert"], options["tls_key"])
    settings = flags.settings
    if options["workers"]:
        settings = settings.model_copy(update={"serve_workers": True})
    keys = KeyStore.open(settings.keys)
    open_access = is_loopback(host) and not options["require_key"] and not keys.list()
    if not open_access and not keys.usable():
        raise SettingsError(
            f"there is no usable API key in {settings.keys}, and {_why(host, options['require_key'])}",
            hint="make one: likeness keys create NAME --scope admin",
        )
    with ExitStack() as stack:
        if options["demo"]:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="likeness-demo-")))
            settings = _demo(flags, settings, folder)
        set_up_logs(level=options["log_level"])
        parts = _parts(settings, ui, options["compatible"], open_access)
        tls = bool(options["tls_cert"])
        app = create_app(settings, keys=keys, open_access=open_access, tls=tls, parts=parts)
        if options["otel"]:
            from likeness.server.tracing import trace

            stack.callback(trace(app))
        sockets = serving.listen(host, port)
        own = f"[{host}]" if ":" in host else host
        address = f"{'https' if tls else 'http'}://{own}:{sockets[0].getsockname()[1]}"
        flags.output.say(f"Likeness listens on {address} (the API is below /v1{', the web app at /ui' if ui else ''})")
        # uvicorn ends on SIGTERM and then sends it once more: without this, nothing below would be tidied up.
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        serving.run(app, sockets, tls_cert=options["tls_cert"], tls_key=options["tls_key"])


def _why(host: str, required: bool) -> str:
    return "--require-key was given" if required else f"{host} may be reached from other machines or keys were made"


def _demo(flags: Flags, settings: Settings, folder: Path) -> Settings:
    """Settings for a gallery in `folder` with the sample people enrolled."""
    from likeness.service import EnrolOptions, find_photos, open_people
    from likeness.service.samples import samples_folder

    samples = samples_folder()
    own = {"gallery": str(folder / "people.gallery"), "serve_answers": str(folder / "answers.db")}
    settings = settings.model_copy(update=own)
    with open_people(settings, create=True, actor="demo", say=flags.output.say) as people:
        outcomes = list(people.enroll(find_photos([samples / "people"], named=True), EnrolOptions(pick="largest")))
    flags.output.say(f"{sum(outcome.status == 'added' for outcome in outcomes)} sample photos were enrolled")
    return settings


def _parts(settings: Settings, ui: bool, compatible: tuple[str, ...], open_access: bool) -> list[Part]:
    """What is served besides the native routes."""
    from likeness.server.parts import compatible_part, web_app

    parts = [compatible_part(name) for name in dict.fromkeys((*settings.serve_compatible, *compatible))]
    return [*parts, web_app(settings, open_access)] if ui else parts
