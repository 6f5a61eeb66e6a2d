"""`stoker load`: requests for model servers, at a rate that changes over time."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.load_options import (
    InputTokensOption,
    OutputTokensOption,
    PhaseOption,
    SeedOption,
    TokensCvOption,
    read_load,
)
from stoker.cli.options import examples, positive
from stoker.cli.output import TextFormat, json_text, show, show_notes, write_text
from stoker.cli.progress_bar import steps_bar
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.http_load import HttpLoad, Target

EPILOG = examples(
    "stoker load http://127.0.0.1:8000 --phase constant:5@30s",
    "stoker load http://127.0.0.1:8000 --phase ramp:1..20@2m --phase constant:20~0.3@1m",
    "stoker load http://127.0.0.1:8000 --phase steps:2..10/5@5m --format json",
)

API_KEY = "STOKER_API_KEY"
"""Environment variable with the key for servers that are asked."""
_WIDTH = 150


def load(
    urls: Annotated[
        list[str],
        typer.Argument(
            metavar="URL...",
            help="Servers with OpenAI's completion endpoint; requests go to them in turn.",
            show_default=False,
        ),
    ],
    phase: PhaseOption = None,
    input_tokens: InputTokensOption = 512,
    output_tokens: OutputTokensOption = 128,
    tokens_cv: TokensCvOption = 0.0,
    seed: SeedOption = 0,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Model to ask for.", show_default="the server's only one"
        ),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option("--stream/--whole", help="Stream tokens, or time whole answers alone."),
    ] = True,
    most_requests: Annotated[
        int, typer.Option(metavar="N", min=1, help="Requests at most.")
    ] = 10_000,
    most_time: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Longest load that is taken.", callback=positive),
    ] = 3600.0,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Longest time of a request.", callback=positive),
    ] = 600.0,
    allow_remote: Annotated[
        bool,
        typer.Option("--allow-remote", help="Take servers that are not on this machine, too."),
    ] = False,
    output_format: Annotated[
        TextFormat,
        typer.Option("--format", help="A table to read, or JSON.", case_sensitive=False),
    ] = TextFormat.TABLE,
) -> None:
    """Send requests to model servers and time the answers.

    An open loop: requests go at their times, whether or not earlier ones are answered. Prompts
    are words, one a token by the emulator's count; a real tokenizer may count otherwise. A key
    for the server is taken from the environment variable STOKER_API_KEY.
    """
    from emulator.http_load import HttpLoad

    if not phase:
        raise InvalidInputError([Problem("--phase", "is missing", "at least one")])
    described = read_load(phase, input_tokens, output_tokens, tokens_cv, seed)
    if described.duration_s > most_time:
        message = f"the phases last {described.duration_s:g} s"
        allowed = f"at most {most_time:g} s, or a larger --most-time"
        raise InvalidInputError([Problem("--phase", message, allowed)])
    targets = tuple(_target(url, model, allow_remote=allow_remote) for url in urls)
    running = HttpLoad(described, targets, most_requests, timeout, stream)
    seconds = max(1, round(described.duration_s))
    with steps_bar("Sending", seconds, wanted=output_format is TextFormat.TABLE) as report:
        asyncio.run(running.run(lambda at_s: report(min(seconds, int(at_s)))))
    _tell(running, phase, output_format)
    raise typer.Exit(
        ExitCode.DONE if all(one.done for one in running.sent) else ExitCode.NOT_SERVED
    )


def check_loopback(url: str, host: str, *, allow_remote: bool) -> None:
    """Refuse a server that is not on this machine, unless that is allowed.

    Raises:
        InvalidInputError: It is not.
    """
    if allow_remote or host == "localhost":
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    message = f"{url} is not on this machine"
    raise InvalidInputError([Problem("URL", message, "a loopback address, or --allow-remote")])


def _target(url: str, model: str | None, *, allow_remote: bool) -> Target:
    from emulator.http_load import Target
    from emulator.model_list import served_model

    try:
        target = Target.of(url, model or "", os.environ.get(API_KEY, ""))
    except ValueError as error:
        raise InvalidInputError([Problem("URL", str(error), "http://HOST:PORT")]) from None
    check_loopback(url, target.host, allow_remote=allow_remote)
    return target if model else served_model(target)


def _tell(running: HttpLoad, phases: Sequence[str], output_format: TextFormat) -> None:
    from stoker.cli.load_output import load_document, load_table

    if output_format is TextFormat.JSON:
        write_text(json_text(load_document(running, phases)))
    else:
        show(load_table(running, phases), _WIDTH)
    if running.late:
        show_notes([f"{running.late:,} requests went late: this machine was too slow for the load"])
    failed = [one for one in running.sent if not one.done]
    if failed and sys.stderr is not None:
        reasons = sorted({one.error for one in failed})
        show_notes([f"{len(failed):,} requests failed: {'; '.join(reasons[:5])}"])
