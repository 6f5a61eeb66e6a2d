"""`stoker serve`: the REST service."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer

from stoker.cli.options import examples, positive
from stoker.cli.output import show_notes
from stoker.domain.errors import InvalidInputError, Problem

_BYTES_PER_MB = 1_000_000
_BACKLOG = 2048
_MOST_SOLVES = 1024
_PATIENCE_S = 5
_OPTIONS = "--host, --port"

EPILOG = examples(
    "stoker serve",
    "stoker serve --host 0.0.0.0 --port 8080 --stateful",
)


def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT", help="Port to listen on; 0 for any free one.", min=0, max=65535
        ),
    ] = 8080,
    stateful: Annotated[
        bool,
        typer.Option(
            "--stateful/--stateless",
            help="Serve the Inferno verbs that change a stored system too.",
        ),
    ] = False,
    max_body_mb: Annotated[
        float,
        typer.Option(metavar="MB", help="Largest request body, in MB.", callback=positive),
    ] = 32.0,
    time_limit: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Longest solve of a request.", callback=positive),
    ] = 60.0,
    max_concurrent_solves: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Most solves at a time; eight times as many may wait, and more get a 503.",
            min=1,
            max=_MOST_SOLVES,
        ),
    ] = 2,
) -> None:
    """Serve plans over HTTP.

    Stoker's own endpoints under `/v1`, and the Inferno verbs at the root; all are described at
    `/openapi.json`. Runs until it is interrupted or terminated (SIGINT, SIGTERM), and then answers
    open requests and ends with exit code 0.
    """
    import uvicorn

    from api.app import create_app

    app = create_app(
        stateful=stateful,
        max_body_bytes=round(max_body_mb * _BYTES_PER_MB),
        time_limit_s=time_limit,
        max_concurrent_solves=max_concurrent_solves,
    )
    listener = listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    server = uvicorn.Server(uvicorn.Config(app, log_level="info", ws="none"))
    with suppress(KeyboardInterrupt), _termination_as_interrupt():
        show_notes([f"serving on http://{shown}:{listener.getsockname()[1]} (Ctrl-C to stop)"])
        server.run(sockets=[listener])


@contextmanager
def serving(
    app: Callable[..., Any], host: str, port: int, options: str = _OPTIONS
) -> Iterator[int]:
    """Serve an application from a thread while the context lasts; yields the port.

    Args:
        app: The ASGI application.
        host: Address to listen on.
        port: Port; 0 for any free one.
        options: Options that named both.

    Raises:
        InvalidInputError: If the address is not ours, or the port is taken or reserved.
    """
    import uvicorn

    listener = listen(host, port, options)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws="none",
        proxy_headers=False,  # who asks decides what is answered: no header may claim to be another
        timeout_graceful_shutdown=_PATIENCE_S,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="http", daemon=True
    )
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(timeout=2 * _PATIENCE_S)
        listener.close()


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM, the usual way to stop a service, raise KeyboardInterrupt as Ctrl-C does.

    The server heeds both by itself, and hands them on when open requests are answered.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def listen(host: str, port: int, options: str = _OPTIONS) -> socket.socket:
    """Return a listening socket.

    Args:
        host: Address.
        port: Port; 0 for any free one.
        options: Options that named both.

    Raises:
        InvalidInputError: If the address is not ours, or the port is taken or reserved.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        message = f"cannot listen on {host} port {port}: {error.strerror or error}"
        allowed = "an address of this machine and a free port"
        raise InvalidInputError([Problem(options, message, allowed)]) from error
