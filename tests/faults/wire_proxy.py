"""A relay of bytes in front of a server, which keeps connections waiting or cuts them in the middle, as it is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Wire:
    """What is done with what the server answers.

    Attributes:
        delay_s: how long each piece waits before it is passed on.
        stalled: while set nothing is passed on.
        cut_after: when so many more bytes have been passed on, all connections break off; None never.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.stalled = threading.Event()
        self.cut_after: int | None = None
        self._open: list[socket.socket] = []

    def relay(self, asking: socket.socket, answering: socket.socket) -> None:
        """Pass on in both directions until one side ends."""
        self._open += [asking, answering]
        threading.Thread(target=self._pass, args=(asking, answering, False), daemon=True).start()
        threading.Thread(target=self._pass, args=(answering, asking, True), daemon=True).start()

    def cut(self) -> None:
        """Break off all connections."""
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(4096):
                if answers:
                    time.sleep(self.delay_s)
                    while self.stalled.is_set():
                        time.sleep(0.01)
                    if self.cut_after is not None:
                        self.cut_after -= len(piece)
                        if self.cut_after <= 0:
                            self.cut()
                            self.cut_after = None
                            return
                target.sendall(piece)


@contextmanager
def wired(behind: str | tuple[str, int], front: Path | None = None) -> Iterator[tuple[Wire, int]]:
    """A relay to a server on a socket file or a port, itself on the file `front` or a free port, which is given."""
    wire, kind = Wire(), socket.AF_UNIX if front is not None else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as listening:
        listening.bind(str(front) if front is not None else ("127.0.0.1", 0))
        listening.listen()

        def take() -> None:
            with suppress(OSError):
                while True:
                    asking, _ = listening.accept()
                    answering = socket.socket(socket.AF_UNIX if isinstance(behind, str) else socket.AF_INET)
                    answering.connect(behind)
                    wire.relay(asking, answering)

        threading.Thread(target=take, daemon=True).start()
        yield wire, 0 if front is not None else listening.getsockname()[1]
        wire.stalled.clear()
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        wire.cut()
