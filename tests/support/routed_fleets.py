"""One server behind a router, as a fleet and as a simulation."""

from __future__ import annotations

from data.stoker_format import document_to_fleet
from simulator import (
    Engine,
    GammaArrivals,
    LognormalLength,
    Pool,
    Run,
    Scenario,
    SeparateLengths,
    simulate,
)
from stoker.domain.fleet import Fleet
from stoker.domain.profile import TokenWorkParameters
from stoker.domain.routing import Router

PARAMETERS = TokenWorkParameters(8.0, 0.03, 0.0003)
INPUT_TOKENS, OUTPUT_TOKENS = 512, 128


def routed_document(router: str = "random", **server: object) -> dict[str, object]:
    """Return a fleet of one server on one accelerator, 60 requests per second.

    Fields of the server are taken as they are, ``load`` in addition to the usual one.
    """
    load = {
        "arrival_rate_rps": 60,
        "input_tokens": INPUT_TOKENS,
        "output_tokens": OUTPUT_TOKENS,
        "output_tokens_cv": 1,
    }
    given = server.pop("load", {})
    assert isinstance(given, dict)
    targets = server.pop("targets", {"ttft_ms": {"p95": 100}})
    assert isinstance(targets, dict)
    return {
        "version": 1,
        "currency": "USD",
        "analysis": "full",
        "accelerators": [{"name": "A", "cost_per_hour": 1}],
        "capacity": {"A": 10_000},
        "profiles": [
            {
                "model": "m",
                "accelerator": "A",
                "max_batch": 256,
                "at_tokens": OUTPUT_TOKENS,
                "parameters": {
                    "kind": "token-work",
                    "alpha_ms": PARAMETERS.alpha_ms,
                    "beta_ms": PARAMETERS.beta_ms,
                    "gamma_ms": PARAMETERS.gamma_ms,
                },
            }
        ],
        "service_classes": [
            {"name": "gold", "priority": 1, "targets": [{"model": "m", **targets}]}
        ],
        "servers": [
            {
                "name": "s",
                "service_class": "gold",
                "model": "m",
                "max_batch": 8,
                "router": router,
                "load": {**load, **given},
                **server,
            }
        ],
    }


def routed_fleet(router: Router = Router.RANDOM, **server: object) -> Fleet:
    """Return the same as a fleet."""
    return document_to_fleet(routed_document(router.label, **server))


def simulated(
    router: Router,
    replicas: int,
    *,
    max_batch: int,
    arrival_cv: float = 1.0,
    rate_rps: float = 60.0,
    requests: int = 60_000,
) -> Run:
    """Return a simulation of such a server."""
    engine = Engine(PARAMETERS, max_batch=max_batch, max_queue=10 * max_batch)
    lengths = SeparateLengths(
        LognormalLength(INPUT_TOKENS, 0.0), LognormalLength(OUTPUT_TOKENS, 1.0)
    )
    pool = Pool(engine, replicas=replicas, router=router)
    return simulate(Scenario(GammaArrivals(rate_rps, arrival_cv), lengths, pool, requests, 3))
