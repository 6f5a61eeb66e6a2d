"""How much the emulator costs: fleets under load inside the process, and requests over HTTP.

Run as ``python -m benchmarks.bench_emulator``; prints processor time for a minute of emulated
time, and the requests per second that one process answers.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from pathlib import Path

from emulator.fleet import EmulatedFleet
from emulator.http_load import HttpLoad, Target
from emulator.load_phases import Constant, Load
from emulator.replica import ServedModel
from emulator.virtual_load import VirtualLoad
from simulator import Engine, FixedLength, LognormalLength, SeparateLengths
from stoker.domain.profile import TokenWorkParameters

ENGINE = Engine(TokenWorkParameters(8.0, 0.03, 0.0003), 64, kv_tokens=200_000)
TICK_MS = 50.0
MINUTE_MS = 60_000.0
PORT_WAIT_S = 0.05


def inside(replicas: int, rate_rps: float) -> str:
    """Return what a fleet under a load inside the process costs."""
    fleet = EmulatedFleet(ServedModel("m", ENGINE))
    fleet.set_replicas(replicas, 0.0)
    lengths = SeparateLengths(LognormalLength(512, 1.0), LognormalLength(128, 1.0))
    running = VirtualLoad(Load((Constant(rate_rps, 60.0),), lengths), fleet)
    began_s, now_ms = time.process_time(), 0.0
    while now_ms < MINUTE_MS:
        now_ms += TICK_MS
        running.advance(now_ms)
    spent_s = time.process_time() - began_s
    iterations = sum(one.meter.iteration_tokens.count for one in fleet.replicas)
    scrape_s = time.process_time()
    size = sum(len(one.metrics(now_ms) or b"") for one in fleet.replicas)
    scrape_s = time.process_time() - scrape_s
    return (
        f"{replicas:3d} replicas, {rate_rps:3.0f} requests/s: {spent_s / 60:6.1%} of a core, "
        f"{1e6 * spent_s / iterations:.1f} us an iteration; metrics of all "
        f"{1e3 * scrape_s:.0f} ms, {size / 1e6:.1f} MB"
    )


def serve(port: int) -> None:
    """Serve one fast replica over HTTP."""
    from stoker.cli.main import app

    parameters = '{"kind": "token-work", "alpha_ms": 8, "beta_ms": 0.03, "gamma_ms": 0.0003}'
    arguments = ["emulate", "--parameters", parameters, "--batch", "512", "--port", str(port)]
    app(arguments, standalone_mode=False)


def over_http(rate_rps: float, output_tokens: int, *, stream: bool) -> str:
    """Return how a load over HTTP is answered."""
    port = 18_577
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    server.start()
    try:
        asyncio.run(_healthy(port))
        lengths = SeparateLengths(FixedLength(64), FixedLength(output_tokens))
        load = Load((Constant(rate_rps, 10.0),), lengths)
        target = Target("127.0.0.1", port, model="emulated")
        running = HttpLoad(load, (target,), 100_000, stream=stream)
        began_s, used_s = time.monotonic(), _processor_s(server.pid)
        asyncio.run(running.run())
        spent_s, used_s = time.monotonic() - began_s, _processor_s(server.pid) - used_s
    finally:
        server.terminate()
        server.join()
    done = [one for one in running.sent if one.done]
    e2e = sorted(one.e2e_ms for one in done)
    how = f"streams of {output_tokens} tokens" if stream else f"answers of {output_tokens} tokens"
    return (
        f"{rate_rps:4.0f} {how} per second over HTTP: {len(done)} of {len(running.sent)} done in "
        f"{spent_s:.1f} s, {running.late} sent late, E2E p50 {e2e[len(e2e) // 2]:.0f} ms; "
        f"{1e3 * used_s / len(running.sent):.2f} ms of a core each in the server"
    )


def _processor_s(pid: int | None) -> float:
    """Return the processor time of a process so far (Linux)."""
    figures = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(figures[11]) + int(figures[12])) / os.sysconf("SC_CLK_TCK")


async def _healthy(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(PORT_WAIT_S)
        else:
            writer.close()
            return


def main() -> None:
    """Print all figures."""
    for replicas, rate in ((20, 100.0), (50, 250.0)):
        print(inside(replicas, rate))
    print(over_http(100.0, 64, stream=True))
    print(over_http(200.0, 16, stream=True))
    print(over_http(400.0, 64, stream=False))


if __name__ == "__main__":
    main()
