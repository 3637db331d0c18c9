"""A small RTSP server (RFC 2326) that plays one MPEG transport stream, RTP interleaved on the same TCP connection."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKET = 188
IN_ONE = 7
SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track1\r\n"


class RtspServer:
    """Plays a file of so many seconds to whoever comes; hangs up at its end, or after `most_s`, and waits for the next.

    `visits` counts those who were played to; `password` asks for one (which no client here has).
    """

    def __init__(self, film: Path, *, seconds: float, most_s: float | None = None, password: bool = False) -> None:
        self._data, self._seconds, self._most_s, self._password = film.read_bytes(), seconds, most_s, password
        self._bound = socket.create_server(("127.0.0.1", 0))
        self.address = f"rtsp://127.0.0.1:{self._bound.getsockname()[1]}/camera"
        self.visits = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._bound.shutdown(socket.SHUT_RDWR)
        self._bound.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._bound.accept()
            except OSError:
                return
            with line:
                try:
                    self._answer(line)
                except OSError:
                    continue  # the client left

    def _answer(self, line: socket.socket) -> None:
        requests = line.makefile("rb")
        while first := requests.readline().decode():
            method = first.split()[0]
            headers = {}
            while row := requests.readline().decode().strip():
                name, _, value = row.partition(":")
                headers[name.lower()] = value.strip()
            status, rest, body = "200 OK", "", ""
            if self._password and method != "OPTIONS":
                status, rest = "401 Unauthorized", 'WWW-Authenticate: Basic realm="test"\r\n'
            elif method == "OPTIONS":
                rest = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif method == "DESCRIBE":
                rest, body = f"Content-Base: {self.address}/\r\nContent-Type: application/sdp\r\n", SDP
            elif method == "SETUP":
                rest = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            elif method == "PLAY":
                rest = "Session: 1\r\n"
            answer = f"RTSP/1.0 {status}\r\nCSeq: {headers['cseq']}\r\n{rest}Content-Length: {len(body)}\r\n\r\n{body}"
            line.sendall(answer.encode())
            if method == "PLAY" and status == "200 OK":
                self.visits += 1
                self._play(line)
                return

    def _play(self, line: socket.socket) -> None:
        began = time.monotonic()
        size = PACKET * IN_ONE
        for number, start in enumerate(range(0, len(self._data), size)):
            at = start / len(self._data) * self._seconds
            if self._most_s is not None and at > self._most_s:
                return
            time.sleep(max(began + at - time.monotonic(), 0))
            payload = self._data[start : start + size]
            rtp = struct.pack("!BBHII", 0x80, 33, number & 0xFFFF, int(at * 90_000), 1) + payload
            line.sendall(b"$\0" + struct.pack("!H", len(rtp)) + rtp)


@contextmanager
def rtsp_server(film: Path, **options) -> Iterator[RtspServer]:
    """A server, while it is needed."""
    server = RtspServer(film, **options)
    try:
        yield server
    finally:
        server.close()
