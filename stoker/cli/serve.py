"""`stoker serve`: the REST service."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from stoker.cli.options import examples, positive
from stoker.cli.output import show_notes
from stoker.domain.errors import InvalidInputError, Problem

_BYTES_PER_MB = 1_000_000
_BACKLOG = 2048

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
) -> None:
    """Serve plans over HTTP.

    Stoker's own endpoints under `/v1`, and the Inferno verbs at the root; all are described at
    `/openapi.json`. Runs until it is interrupted.
    """
    import uvicorn

    from api.app import create_app

    app = create_app(
        stateful=stateful,
        max_body_bytes=round(max_body_mb * _BYTES_PER_MB),
        time_limit_s=time_limit,
    )
    listener = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    show_notes([f"serving on http://{shown}:{listener.getsockname()[1]} (Ctrl-C to stop)"])
    server = uvicorn.Server(uvicorn.Config(app, log_level="info", ws="none"))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return  # the usual way to stop it, after open requests were answered


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        InvalidInputError: If the address is not ours, or the port is taken or reserved.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        message = f"cannot listen on {host} port {port}: {error.strerror or error}"
        allowed = "an address of this machine and a free port"
        raise InvalidInputError([Problem("--host, --port", message, allowed)]) from error
