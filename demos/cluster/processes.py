"""Servers as child processes: started on loopback, waited for, and always stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_POLL_S = 0.05
_STOP_S = 10.0
_LOG_TAIL = 2000


class ServerFailedError(RuntimeError):
    """A server ended by itself or was not ready in time; the message ends with its log."""


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _with_parent() -> tuple[str, ...]:
    """Return what lets a command end with this process, even a killed one, where Linux has it."""
    program = shutil.which("setpriv")
    return (program, "--pdeathsig", "TERM", "--") if program else ()


class ServerProcess:
    """One server process with its log file.

    Args:
        name: What to call it in messages.
        command: Program and arguments.
        log: File that takes what it prints.
        environment: Variables beside those of this process.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = (*_with_parent(), *command)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; nothing happens where it runs already."""
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until `ready()` holds.

        Raises:
            ServerFailedError: The process ended, or the time passed.
        """
        end = time.monotonic() + timeout_s
        while True:
            if not self.running:
                raise ServerFailedError(f"{self.name} ended by itself:\n{self._tail()}")
            if ready():
                return
            if time.monotonic() > end:
                raise ServerFailedError(
                    f"{self.name} was not ready after {timeout_s:g} s:\n{self._tail()}"
                )
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End it: politely, then by force. Nothing happens where it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers from now on."""
        self._send(signal.SIGSTOP)
        if self._process is not None and self._process.poll() is None:
            # A signal takes its time to stop all threads of a program.
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        self._send(signal.SIGCONT)  # a frozen process hears nothing else
        self._send(number)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def _tail(self) -> str:
        if not self.log.exists():
            return ""
        return self.log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL:]
