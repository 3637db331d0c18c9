"""Options that every command takes, before or after its name, and what is opened with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

from likeness.cli.output import Output

if TYPE_CHECKING:
    from likeness.recognizer import Recognizer
    from likeness.service import People
    from likeness.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_SETTINGS = ("gallery", "embedder", "detector", "threads", "fmr", "fpir", "prior", "min_face_px", "attributes",
             "bot_api", "bot_chats", "bot_key", "bot_rate_per_minute", "bot_state", "bot_token")  # fmt: skip


@dataclass
class Flags:
    """The values of the common options, and what follows from them. One for each run of the command."""

    values: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def settings(self) -> Settings:
        """The settings in force.

        Raises:
            SettingsError: one of them cannot be used.
            click.UsageError: two of them contradict each other.
        """
        if "fmr" in self.values and "fpir" in self.values:
            raise click.UsageError("--fmr and --fpir set the same threshold: give one of them")
        from likeness.settings import Settings

        return Settings.load({name: self.values.get(name) for name in _SETTINGS}, config=self.values.get("config"))

    @cached_property
    def output(self) -> Output:
        """Where results and remarks go."""
        return Output(
            as_json=bool(self.values.get("as_json")),
            quiet=bool(self.values.get("quiet")),
            progress=self.values.get("progress"),
        )

    def recognizer(self, *, many: bool = False) -> Recognizer:
        """A recognizer; for `many` photos each is looked at on one core, several at a time."""
        from likeness.recognizer import Recognizer

        return Recognizer(self.settings, say=self.output.say, threads=1 if many else None)

    def people(
        self, *, create: bool = False, many: bool = False, with_model: bool = True, remarks: bool = True
    ) -> People:
        """The gallery, opened for the use cases; see `likeness.service.open_people`. `remarks` are said on stderr."""
        from likeness.service import open_people

        return open_people(
            recognizer=self.recognizer(many=many),
            create=create,
            with_model=with_model,
            actor=actor(),
            say=self.output.say if remarks else lambda text: None,
        )


def actor() -> str:
    """Who asks, for the audit trail: the account of the operating system."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):
        return f"cli:uid-{os.getuid()}"


def common_options(command: F) -> F:
    """Give a command the options that all of them take."""
    for option in reversed(_common()):
        command = option(command)
    return command


def pair_options(command: F) -> F:
    """Give a command the options that move the threshold of a comparison."""
    rate = _option(
        "--fmr", type=float, metavar="RATE", help="Set the threshold by the false-match rate of one comparison."
    )
    prior = _option(
        "--prior",
        type=float,
        metavar="P",
        help="Probability, before looking, that it is the person (or anybody in the gallery); 0.5 unless set.",
    )
    return rate(prior(command))


def threshold_options(command: F) -> F:
    """Give a command the options that move the threshold of a search."""
    share = _option(
        "--fpir", type=float, metavar="RATE", help="Set the threshold by the share of strangers named wrongly."
    )
    return share(pair_options(command))


def pick_option(default: str = "largest") -> Callable[[F], F]:
    """`--pick`, which goes to the command."""
    return click.option(
        "--pick",
        type=_Pick(),
        default=default,
        show_default=True,
        help="Of several faces: refuse unless one stands out (only), or take the largest, the most central, or the "
        "N-th by size; of a video, of several people.",
    )


class _Pick(click.ParamType[Any]):
    """`only`, `largest`, `central`, or a number from 1 on."""

    name = "only|largest|central|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word, or the number."""
        if value in ("only", "largest", "central") or isinstance(value, int):
            return value
        if value.isdecimal() and int(value):
            return int(value)
        self.fail(f"{value!r} is none of only, largest, central, and no number from 1 on", param, ctx)


def every_option(command: F) -> F:
    """Give a command `--every`, the step from one frame of a video to the next."""
    return click.option(
        "--every",
        "every_s",
        type=click.FloatRange(0.01, 60),
        default=0.1,
        show_default=True,
        metavar="SECONDS",
        help="Of a video, look at a frame so often.",
    )(command)


def attributes_option(command: F) -> F:
    """Give a command the option that names what tells age and gender."""
    return _option(
        "--attributes",
        metavar="NAME|FOLDER",
        help="Model bundle that tells apparent age and gender; none tells nothing.",
    )(command)


def progress_option(command: F) -> F:
    """Give a command `--progress/--no-progress`."""
    words = "Show progress on stderr; unless said, where that is a terminal."
    return _option("--progress/--no-progress", is_flag=True, help=words)(command)


def _common() -> list[Callable[[F], F]]:
    return [
        _option("--gallery", metavar="PATH|URI", help="The gallery: a file, or scheme://… of a server."),
        _option("--model", "embedder", metavar="NAME|FOLDER", help="Model bundle that turns faces into embeddings."),
        _option("--detector", metavar="NAME|FOLDER", help="Model bundle that finds faces."),
        _option("--config", type=click.Path(dir_okay=False), help="Settings file."),
        _option("--threads", type=int, metavar="N", help="Cores used at once; 0 takes all."),
        _option(
            "--json",
            "as_json",
            is_flag=True,
            flag_value=True,
            help="Print JSON: one line for each result, none where there is none.",
        ),
        _option("--quiet", is_flag=True, flag_value=True, help="No remarks and no progress on stderr."),
        _option("--debug", is_flag=True, flag_value=True, help="Show the traceback of an unexpected error."),
    ]


def _option(*names: str, **rest: Any) -> Callable[[F], F]:
    """An option whose value, where given, goes into the run's flags and not to the command."""

    def keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value is not None and param.name is not None:
            ctx.ensure_object(Flags).values[param.name] = value

    return click.option(*names, default=None, expose_value=False, callback=keep, **rest)
