"""A way to a server through another port, on which every answer can be made to take longer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from demos.cluster.processes import free_port

_PIECE = 65536
_REST_S = 0.2


class Detour:
    """Passes connections on to a port of this machine, as a context manager.

    Args:
        port: Where to pass them on to.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        # A port that was asked for by its number stays this one's while nobody listens on it.
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self._listener.settimeout(_REST_S)
        self._ended = threading.Event()
        self._refusing = threading.Event()
        self._open: set[socket.socket] = set()
        self.delay_s = 0.0
        """What every piece of an answer takes longer."""

    @property
    def port(self) -> int:
        """The port to connect to."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Detour:
        threading.Thread(target=self._accept, name="detour", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.close()
        for each in list(self._open):
            _end(each)

    def refuse(self) -> None:
        """Refuse connections from now on, and end those that are there: the server is gone."""
        self._refusing.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # it stays bound, and hears nobody
        for each in list(self._open):
            _end(each)

    def pass_on(self) -> None:
        """Take connections again."""
        self._listener.listen()
        self._refusing.clear()

    def _accept(self) -> None:
        while not self._ended.is_set():
            if self._refusing.is_set():
                self._ended.wait(_REST_S)
                continue
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                if self._refusing.is_set():
                    continue
                return
            threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target, timeout=10.0)
        except OSError:
            _end(near)
            return
        far.settimeout(None)
        near.settimeout(None)
        self._open |= {near, far}
        threading.Thread(target=self._copy, args=(near, far, False), daemon=True).start()
        self._copy(far, near, True)
        self._open -= {near, far}

    def _copy(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                if answers and self.delay_s:
                    time.sleep(self.delay_s)
                sink.sendall(piece)
        _end(source)
        _end(sink)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
