"""`stoker emulate`: model servers without GPUs, at the pace of a profile."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.emulated import profile_to_emulate
from stoker.cli.load_options import (
    InputTokensOption,
    OutputTokensOption,
    PhaseOption,
    SeedOption,
    TokensCvOption,
    read_load,
)
from stoker.cli.options import examples, not_negative, positive
from stoker.cli.output import show_notes
from stoker.cli.serve import listen
from stoker.cli.trace_options import RouterOption, router_of
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from emulator.app import EmulatorServer
    from emulator.dialect import Dialect
    from emulator.replica import ServedModel
    from stoker.domain.profile import ModelProfile

EPILOG = examples(
    "stoker emulate profile.yaml",
    "stoker emulate profile.yaml --replicas 4 --startup 60 --speed 10 --port 8100",
    "stoker emulate profile.yaml --replicas 20 --phase ramp:2..40@10m --phase constant:40@5m",
)

_REST_MS = 20.0
"""Emulated time between two looks where all load comes from inside the process."""
_MOST_REPLICAS = 1000


def emulate(
    profile: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROFILE]",
            help="Document with profiles: of stoker fit, estimate or profile, or a fleet; or the "
            "name of a shipped profile.",
            show_default=False,
        ),
    ] = None,
    parameters: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="Parameters of a service-time model in place of a profile, such as "
            '{"kind": "token-work", "alpha_ms": 8, "beta_ms": 0.03, "gamma_ms": 3e-4}.',
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model, where there are several.", show_default=False),
    ] = None,
    accelerator: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Accelerator, where there are several.", show_default=False
        ),
    ] = None,
    replicas: Annotated[
        int, typer.Option(metavar="N", min=1, max=_MOST_REPLICAS, help="Replicas at the start.")
    ] = 1,
    router: RouterOption = "shortest-queue",
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="Whose metrics to export: vllm or sglang.")
    ] = "vllm",
    older_names: Annotated[
        bool,
        typer.Option("--older-names", help="Export the older names of metrics beside the newest."),
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Batch limit.", show_default="that of the profile"),
    ] = None,
    queue: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Requests that may wait in a replica; more get 503.",
            show_default="no limit",
        ),
    ] = None,
    token_budget: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Tokens that an iteration computes at most.",
            show_default="that of the profile",
        ),
    ] = None,
    kv_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=16,
            help="Tokens that the KV memory holds.",
            show_default="that of the profile",
        ),
    ] = None,
    prefix_hit_rate: Annotated[
        float,
        typer.Option(
            metavar="SHARE", min=0, max=1, help="Share of prompts found in the prefix cache."
        ),
    ] = 0.0,
    startup: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Time from the start of a replica until it serves, of the emulated clock.",
            callback=not_negative,
        ),
    ] = 0.0,
    speed: Annotated[
        float,
        typer.Option(
            metavar="X", help="Let emulated time pass so many times as fast.", callback=positive
        ),
    ] = 1.0,
    phase: PhaseOption = None,
    input_tokens: InputTokensOption = 512,
    output_tokens: OutputTokensOption = 128,
    tokens_cv: TokensCvOption = 0.0,
    seed: SeedOption = 0,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT", help="Port to listen on; 0 for any free one.", min=0, max=65535
        ),
    ] = 8000,
    drain_timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Time that running requests have to finish on SIGTERM.",
            callback=not_negative,
        ),
    ] = 30.0,
) -> None:
    """Emulate model servers: OpenAI's endpoints at the pace of a profile, with metrics.

    One replica stands at the root; of several each stands under `/replicas/NAME`, and the root is
    the gateway before them. `--phase` makes load inside the process, without HTTP. Runs until it
    is interrupted, or terminated (SIGTERM): then new requests get 503, and running ones finish.
    """
    from emulator.app import EmulatorServer
    from emulator.fleet import EmulatedFleet
    from emulator.real_time import EmulatedClock, Player, RealTime
    from emulator.virtual_load import VirtualLoad

    found = profile_to_emulate(profile, parameters, model, accelerator)
    load = read_load(phase, input_tokens, output_tokens, tokens_cv, seed) if phase else None
    served = _served(
        found,
        _dialect(engine),
        (batch, queue, token_budget, kv_tokens),
        older_names=older_names,
        startup_s=startup,
        prefix_hit_rate=prefix_hit_rate,
    )
    lone = replicas == 1
    fleet = EmulatedFleet(served, router=router_of(router), seed=seed, hold=not lone)
    listener = listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"{shown}:{listener.getsockname()[1]}"
    clock = EmulatedClock(time.monotonic, speed)
    player: Player = fleet
    if load is not None:
        player = VirtualLoad(load, fleet, on_served=_unheeded)
    fleet.set_replicas(replicas, clock.now_ms())
    rest_ms = 0.0 if load is None else _REST_MS * max(speed, 1.0)
    server = EmulatorServer(
        fleet, clock, RealTime(player, clock, rest_ms=rest_ms), lone=lone, address=address
    )
    what = f"{served.name}, {replicas} replicas" if not lone else served.name
    show_notes([f"emulating {what} on http://{address} (Ctrl-C to stop)"])
    _run(server, listener, drain_timeout)


def _unheeded(_: object) -> None:
    """Keep nothing of the requests of the load: their metrics tell of them."""


def _dialect(name: str) -> Dialect:
    from emulator.dialect import Dialect

    try:
        return Dialect(name)
    except ValueError:
        allowed = ", ".join(Dialect)
        raise InvalidInputError(
            [Problem("--engine", f'no engine is called "{name}"', allowed)]
        ) from None


def _served(
    profile: ModelProfile,
    dialect: Dialect,
    limits: tuple[int | None, int | None, int | None, int | None],
    *,
    older_names: bool,
    startup_s: float,
    prefix_hit_rate: float,
) -> ServedModel:
    from emulator.replica import ServedModel
    from simulator import Engine

    batch, queue, token_budget, kv_tokens = limits
    engine = Engine(
        profile.parameters,
        max_batch=batch or profile.max_batch,
        max_queue=queue,
        token_budget=token_budget or profile.token_budget,
        kv_tokens=kv_tokens or profile.kv_tokens,
    )
    return ServedModel(
        profile.model,
        engine,
        dialect,
        older_names=older_names,
        startup_ms=startup_s * 1000.0,
        prefix_hit_rate=prefix_hit_rate,
    )


def _run(server: EmulatorServer, listener: socket.socket, drain_timeout_s: float) -> None:
    """Serve until a signal; SIGTERM lets running requests finish first."""
    import uvicorn

    class DrainingServer(uvicorn.Server):
        """Goes on answering after a signal until running requests are done."""

        ending: asyncio.Task[None] | None = None

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            """Begin to end at the first signal; end at the second."""
            again = self.ending is not None
            if again or sig != signal.SIGTERM:
                self.force_exit = again
                self.should_exit = True
            else:
                self.ending = asyncio.get_running_loop().create_task(self._end())

        async def _end(self) -> None:
            await server.drain(drain_timeout_s)
            self.should_exit = True

    config = uvicorn.Config(
        server.app, log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=1
    )
    DrainingServer(config).run(sockets=[listener])
