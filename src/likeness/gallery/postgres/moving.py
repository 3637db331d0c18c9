"""The gallery on PostgreSQL as one that galleries are migrated from and to: the calls of `Transferable`."""

from __future__ import annotations

from likeness.gallery.postgres import transfer
from likeness.gallery.postgres.server import Server
from likeness.gallery.transfer import Held, Key, Outline, Part, Rows, Transferable


class Moving(Transferable):
    """See `likeness.gallery.transfer.Transferable`."""

    _server: Server

    def outline(self) -> Outline:  # noqa: D102
        return self._server.read(transfer.outline)

    def held(self, part: Part) -> Held:  # noqa: D102
        return self._server.read(lambda connection, state: transfer.held(connection, state, part))

    def export(self, part: Part, *, after: Key, limit: int) -> Rows:  # noqa: D102
        return self._server.read(lambda connection, state: transfer.export(connection, state, part, after, limit))

    def importing(self) -> str | None:  # noqa: D102
        return self._server.read(lambda connection, state: state.importing)

    def begin_import(self, outline: Outline) -> None:  # noqa: D102
        self._server.write(lambda connection, state: transfer.begin(connection, state, outline), importing=True)

    def take_in(self, rows: Rows) -> None:  # noqa: D102
        self._server.write(lambda connection, state: transfer.take_in(connection, state, rows), importing=True)

    def end_import(self) -> None:  # noqa: D102
        self._server.write(transfer.end, importing=True)
