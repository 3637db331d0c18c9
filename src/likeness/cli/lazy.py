"""Commands that are imported when used: the list of them, with their one-line help, costs no import."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

COMMANDS: dict[str, tuple[str, str]] = {
    "enroll": ("enroll", "Put the people of photos and videos into the gallery."),
    "identify": ("identify", "Say who is on photos, videos or a camera, and how sure that is."),
    "twins": ("twins", "Find the people who look most like a face."),
    "verify": ("verify", "Say whether two photos show one person."),
    "describe": ("describe", "Find the faces on photos: boxes, landmarks, quality, embeddings."),
    "import": ("importing", "Take people over from CompreFace, pickles of face_recognition, or folders."),
    "people": ("people", "List, show, describe, rename, merge, forget, purge and export people."),
    "gallery": ("gallery", "Look after the gallery: facts, health, copies, keys, new embeddings."),
    "models": ("models", "List, show and verify models and their licences; push and pull them."),
    "data": ("data", "Get, look at, keep and share data sets."),
    "triplets": ("triplets", "Make, list and check triplets: two photos of a person and one of another."),
    "train": ("train", "Train a network by a recipe, or fine-tune a bundle on your own people."),
    "distil": ("distil", "Teach a small network to see faces as a bundle does."),
    "export": ("export", "Turn a training into a model bundle, or a bundle into files for a phone."),
    "evaluate": ("evaluate", "Measure models on data sets."),
    "calibrate": ("calibrate", "Fit a model's probabilities and thresholds on known people."),
    "worker": ("worker", "Answer photos that arrive by themselves: the steps of the pipeline."),
    "watch": ("watch", "Send new photos of a folder or bucket to the workers."),
    "answers": ("answers", "List what became of photos that arrived by themselves."),
    "queue": ("queue", "Show what waits in the queues of arrivals; revive or drop dead letters."),
    "flow": ("flow", "Keep a model up to date by itself, or train one to its card."),
    "keys": ("keys", "Make, list and revoke the API keys of the server."),
    "serve": ("serve", "Answer over HTTP: the REST API and, with --ui, a web app."),
    "bot": ("bot", "Answer photos in Telegram: ages, lookalikes, enrolment with consent."),
    "settings": ("settings", "Show every setting, its value, and where that comes from."),
    "audit": ("audit", "Show the gallery's audit trail."),
    "doctor": ("doctor", "Check that everything needed is there and well."),
}
"""Command → (module under `likeness.cli` with a click command of the module's name, help)."""


class NobodyReads(Exception):
    """Whoever read our output has stopped."""


class LazyGroup(click.Group):
    """The group of all commands; each one's module is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands whose modules are installed, in the table's order."""
        return [name for name, (module, _) in COMMANDS.items() if find_spec(f"likeness.cli.{module}") is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = COMMANDS[cmd_name][0]
        command: Any = getattr(import_module(f"likeness.cli.{module}"), module)
        assert isinstance(command, click.Command)  # the table's promise
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader who left is told apart from click's own way of ending then."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise NobodyReads from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table alone."""
        rows = [(name, COMMANDS[name][1]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
