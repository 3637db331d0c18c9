"""`likeness watch`: new photos of a folder or bucket become messages for the workers."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, common_options
from likeness.cli.output import counted
from likeness.cli.stopping import told_to_end

if TYPE_CHECKING:
    from likeness.cli.output import Output
    from likeness.intake.watch import Pass
    from likeness.storage import Storage


@click.command()
@click.argument("place", metavar="FOLDER|URI")
@click.option("--every", "every_s", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Send what is new and end.")
@click.option(
    "--names",
    type=click.Choice(["none", "folder"]),
    default="none",
    show_default=True,
    help="Whose the photos are: nobody says, or the first folder below the place does.",
)
@click.option(
    "--quiet-for", "quiet_s", type=click.FloatRange(0), default=2.0, show_default=True, help="Seconds; see above."
)
@common_options
@click.pass_obj
def watch(flags: Flags, place: str, every_s: float, once: bool, names: Any, quiet_s: float) -> None:
    """Send new photos of a folder or bucket to the workers.

    The place is a folder or s3://bucket/prefix. Each new or changed photo becomes a message on the queue `detect` of
    the setting `queue`. What was sent is remembered (setting `watched`): after a restart nothing is missed and nothing
    sent again. A file in a folder is sent when it has not changed for as long as --quiet-for says. Ctrl-C or SIGTERM
    ends it in order, with exit code 0.
    """
    from likeness.intake.queues import open_queue
    from likeness.intake.seen import Seen
    from likeness.intake.watch import Watch, expect_apart
    from likeness.storage import open_storage

    settings = flags.settings
    with ExitStack() as stack:
        storage = stack.enter_context(open_storage(place))
        own = [open_storage(place).uri for place in (settings.storage, settings.spool) if place]
        expect_apart(storage.uri, own)
        seen = stack.enter_context(Seen(Path(settings.watched).expanduser(), storage.uri))
        queue = stack.enter_context(open_queue(settings.queue, "detect"))
        watched = Watch(storage, queue, seen, names=names, quiet_s=quiet_s)
        alarm = stack.enter_context(_alarm())
        if not once:
            stack.enter_context(_woken_by_changes(storage, alarm, flags.output))
        tally = _Tally(flags.output)
        if not once:
            flags.output.say("watching; `likeness worker` answers what is sent; Ctrl-C ends this")
        for done in watched.run(alarm.pause, every_s=every_s, once=once, stop=alarm.is_over):
            tally.add(done)
        tally.sum_up()


_SLICE_S = 0.25
"""How long a pause goes on at most after a signal to end."""


class _Alarm:
    """What ends a pause early: a signal to end, or a change in the folder."""

    def __init__(self) -> None:
        self._over = False
        self._woken = threading.Event()

    def is_over(self) -> bool:
        return self._over

    def end(self) -> None:
        self._over = True  # and nothing that takes a lock: the thread that a signal interrupts may hold it

    def wake(self) -> None:
        self._woken.set()

    def pause(self, seconds: float) -> bool:
        """Wait; whether this is the end."""
        deadline = time.monotonic() + seconds
        while not self._over and (left_s := deadline - time.monotonic()) > 0:
            if self._woken.wait(min(left_s, _SLICE_S)):
                break
        self._woken.clear()
        return self._over


@contextmanager
def _alarm() -> Iterator[_Alarm]:
    alarm = _Alarm()
    with told_to_end(alarm.end, (signal.SIGTERM, signal.SIGINT)):
        yield alarm


@contextmanager
def _woken_by_changes(storage: Storage, alarm: _Alarm, output: Output) -> Iterator[None]:
    """Look at a folder as soon as something changes in it, where the operating system and `watchfiles` tell of that.

    Not every file system does, so that the folder is listed every few seconds all the same.
    """
    root = getattr(storage, "root", None)
    try:
        import watchfiles
    except ImportError:
        root = None
    if root is None or not root.is_dir():
        yield
        return
    stop = threading.Event()

    def follow() -> None:
        try:
            for _ in watchfiles.watch(root, watch_filter=None, stop_event=stop, raise_interrupt=False, debounce=200):
                alarm.wake()
        except OSError as error:  # too many folders for the operating system
            output.say(f"changes are seen by listing alone: {error.strerror or type(error).__name__}")

    thread = threading.Thread(target=follow, name="changes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)


class _Tally:
    """What is told of one run."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._sent = self._passed_over = self._waiting = 0
        self._failed = ""

    def add(self, done: Pass) -> None:
        """Tell what one look found, where there is something to tell."""
        self._sent += len(done.sent)
        self._passed_over, before = done.passed_over, self._waiting
        self._waiting = done.waiting
        if self._output.as_json:
            for body in done.sent:
                self._output.json(body)
        elif done.sent or done.waiting != before:
            waiting = f", {counted(done.waiting, 'file', 'files')} still being written" if done.waiting else ""
            self._output.text(f"sent {counted(len(done.sent), 'photo', 'photos')} ({self._sent} in all){waiting}")
        failed = str(done.error or "")
        if failed and failed != self._failed:
            self._output.warn(f"warning: {failed}; trying again")
        elif self._failed and not failed:
            self._output.say("all is well again")
        self._failed = failed

    def sum_up(self) -> None:
        """Tell what all of it came to."""
        if self._output.as_json:
            facts = {"sent": self._sent, "passed_over": self._passed_over, "still_being_written": self._waiting}
            self._output.json({"summary": facts})
            return
        over = f", {counted(self._passed_over, 'file', 'files')} passed over" if self._passed_over else ""
        self._output.text(f"{counted(self._sent, 'photo', 'photos')} sent in all{over}")
