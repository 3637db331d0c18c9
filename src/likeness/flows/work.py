"""A refresh at work: its record, which says what is done already, and what all its parts need."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from likeness.bundle import Bundle
from likeness.data.dataset import replace_file, storage_error
from likeness.errors import DatasetError, RunDiffers
from likeness.flows.home import Home, Seen, State
from likeness.flows.order import Facts, Order, Tell
from likeness.settings import Settings

RECORD = "run.json"


class Record(BaseModel):
    """`work/run.json`: which order is carried out, on top of which state, and what came of the parts that are done."""

    model_config = ConfigDict(extra="forbid")

    format: int = 1
    order: str
    run: int
    data: int
    model: str
    done: dict[str, Facts] = {}


@dataclass(frozen=True)
class Work:
    """All that a part of a refresh works with."""

    home: Home
    order: Order
    settings: Settings
    tell: Tell
    record: Record

    @property
    def folder(self) -> Path:
        """Where the work is done; nothing outside is changed but by exchanging the state."""
        return self.home.work

    @cached_property
    def base(self) -> Bundle:
        """The bundle that the work begins with: the one in force, else the one that the order names.

        While a refresh is at work, the state's last model may be its own already.
        """
        earlier = [model for model in self.home.state().models if model.name != self.record.model]
        library = self.settings.library(self.tell.say)
        return library.find(str(self.home.bundle(earlier[-1])) if earlier else first_bundle(self.order, self.settings))

    @property
    def cropping(self) -> Settings:
        """The settings by which crops are made that the bundle takes."""
        return self.settings.model_copy(update={"embedder": str(self.base.folder.absolute())})

    def mark(self, part: str, facts: Facts) -> None:
        """Note that a part is done."""
        self.record.done[part] = facts
        write_record(self.home, self.record)


def first_bundle(order: Order, settings: Settings) -> str:
    """Name of the bundle that the first refresh begins with."""
    return order.base or settings.embedder


def read_record(home: Home, order: Order) -> Record | None:
    """The record of an unfinished refresh; None where there is none.

    Raises:
        RunDiffers: it is of another order.
        DatasetError: it cannot be read.
    """
    try:
        record = Record.model_validate_json((home.work / RECORD).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise DatasetError(
            f"the unfinished refresh in {str(home.work)!r} cannot be read: {type(error).__name__}",
            hint="begin it anew with --fresh",
        ) from None
    if record.order != order.digest:
        raise RunDiffers(
            f"{str(home.work)!r} holds a refresh that began with other options",
            hint="give those, or begin anew with --fresh",
        )
    return record


def begin_record(home: Home, order: Order, state: State) -> Record:
    """The record of a refresh that begins on top of a state."""
    record = Record(order=order.digest, run=state.run + 1, data=state.data + 1, model=f"{order.name}-{state.made + 1}")
    write_record(home, record)
    return record


def write_record(home: Home, record: Record) -> None:
    """Write the record, in one step.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        home.work.mkdir(parents=True, exist_ok=True)
        replace_file(home.work / RECORD, (record.model_dump_json(indent=1) + "\n").encode())
    except OSError as error:
        raise storage_error(error, home.work) from error


def drop_work(home: Home) -> None:
    """Delete the unfinished refresh: it holds photos of people.

    The record goes first, so that what is half deleted is no refresh any more.

    Raises:
        StorageError: something cannot be deleted.
    """
    try:
        (home.work / RECORD).unlink(missing_ok=True)
        if home.work.exists():
            shutil.rmtree(home.work)
    except OSError as error:
        raise storage_error(error, home.work) from error


def set_aside(seen: Seen, code: str, reason: str) -> Seen:
    """The photo as one that is not taken."""
    return replace(seen, outcome=code, reason=reason)
