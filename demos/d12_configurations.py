"""One model, many ways to run it: batch limits, tensor parallelism, prefill apart, slices of cards.

Four servers are planned five times, with one more thing to choose from each time: first one way to
run each model, then batch limits, then fewer cards for a replica, then prompts on replicas of their
own, and at last slices of cards for the two small ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from data.stoker_format import document_to_fleet
from demos.measures import allocation_of, served_words
from demos.report import Report, numbers_table, publish, run
from optimizer.planner import plan_fleet
from stoker.cli.figures import money
from stoker.cli.plots.servers import servers_figure
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan

Document = dict[str, Any]

WAYS = (
    "one way to run each",
    "batch limits to choose",
    "two cards a replica, too",
    "prefill apart, too",
    "slices of cards, too",
)
BATCH_LIMITS = [16, 32, 64, 128, 256]


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    plans = {name: plan_fleet(_fleet(step)) for step, name in enumerate(WAYS)}
    currency = plans[WAYS[0]].currency
    report = Report(
        title="Four servers, with more and more ways to run them",
        data={
            "currency": currency,
            "plans": {name: _figures(plan) for name, plan in plans.items()},
        },
        tables=[_table(plans, currency)],
        findings=_findings(plans, currency),
        figures={
            "configurations.png": servers_figure(
                "The more ways to run a model, the cheaper its targets are kept",
                list(plans.items()),
                _runs_on,
            )
        },
    )
    return publish(report, output, format)


def _fleet(step: int) -> Fleet:
    """Return the fleet with the first so many things to choose from."""
    wide: Document = {
        "model": "llama-70b",
        "accelerator": "H100",
        "configuration": "tp4",
        "parallel": {"tensor": 4},
        "max_batch": 256,
        "at_tokens": 256,
        "kv_tokens": 900_000,
        "parameters": _token_work(10, 0.026, 0.000018),
    }
    narrow: Document = {
        "model": "llama-70b",
        "accelerator": "H100",
        "configuration": "tp2",
        "parallel": {"tensor": 2},
        "max_batch": 128,
        "at_tokens": 256,
        "kv_tokens": 300_000,
        "parameters": _token_work(16, 0.045, 0.00003),
    }
    profiles = [wide]
    if step >= 2:
        profiles.append(narrow)
    if step >= 3:
        wide["disaggregated"] = {
            "prefill_configuration": "tp2",
            "transfer_ms": 5,
            "transfer_ms_per_token": 0.002,
        }
    profiles.append(_small("A100", 6.0))
    accelerators: list[Document] = [
        {"name": "H100", "cost_per_hour": 2.5, "memory_gb": 80},
        {"name": "A100", "cost_per_hour": 1.6, "memory_gb": 80},
    ]
    if step >= 4:
        profiles.append(_small("A100-3g", 11.0))
        accelerators.append(
            {
                "name": "A100-3g",
                "card_type": "A100",
                "slice": {"sevenths": 3},
                "cost_per_hour": 0.8,
                "memory_gb": 40,
            }
        )
    limits: Document = {"max_batch": BATCH_LIMITS} if step >= 1 else {}
    apart: Document = {"serving": ["aggregated", "disaggregated"]} if step >= 3 else {}
    return document_to_fleet(
        {
            "version": 1,
            "name": "configured",
            "currency": "USD",
            "accelerators": accelerators,
            "capacity": {"H100": 96, "A100": 8},
            "profiles": profiles,
            "service_classes": [
                _class("interactive", 1, "llama-70b", 800, 60),
                _class("documents", 2, "llama-70b", 2000, 20),
                _class("helpers", 3, "small-8b", 300, 25),
            ],
            "servers": [
                _server("chat", "interactive", "llama-70b", 8, 800, 250) | limits,
                _server("reports", "documents", "llama-70b", 21, 4000, 300) | limits | apart,
                _server("titles", "helpers", "small-8b", 4, 600, 40),
                _server("tags", "helpers", "small-8b", 6, 300, 20),
            ],
        }
    )


def _token_work(alpha_ms: float, beta_ms: float, gamma_ms: float) -> Document:
    return {"kind": "token-work", "alpha_ms": alpha_ms, "beta_ms": beta_ms, "gamma_ms": gamma_ms}


def _small(accelerator: str, alpha_ms: float) -> Document:
    """Return the profile of the small model, which a slice runs as well, more slowly."""
    return {
        "model": "small-8b",
        "accelerator": accelerator,
        "max_batch": 32,
        "at_tokens": 256,
        "kv_tokens": 100_000,
        "parameters": _token_work(alpha_ms, 0.008 * alpha_ms, 0.00002),
    }


def _class(name: str, priority: int, model: str, ttft_ms: float, itl_ms: float) -> Document:
    target = {"model": model, "ttft_ms": {"p95": ttft_ms}, "itl_ms": {"p95": itl_ms}}
    return {"name": name, "priority": priority, "targets": [target]}


def _server(
    name: str, service_class: str, model: str, rate: float, prompt: float, answer: float
) -> Document:
    return {
        "name": name,
        "service_class": service_class,
        "model": model,
        "load": {
            "arrival_rate_rps": rate,
            "input_tokens": prompt,
            "output_tokens": answer,
            "input_tokens_cv": 0.6,
            "output_tokens_cv": 0.6,
        },
    }


def _figures(plan: Plan) -> dict[str, object]:
    return {
        "cost_per_hour": plan.cost_per_hour,
        "status": plan.status.value,
        "served": sum(item.served for item in plan.services),
        "cards": {item.card_type: item.used for item in plan.usage},
        "allocations": {
            item.server: {
                "runs_on": _runs_on(item),
                "max_batch": item.max_batch,
                "cards": item.cards,
                "cost_per_hour": item.cost_per_hour,
            }
            for item in plan.allocations
        },
    }


def _runs_on(item: PlannedAllocation | None) -> str:
    """Return what a server runs on, its configuration and pools included."""
    if item is None or item.accelerator is None:
        return "nothing"
    if item.pools:
        parts = (f"{pool.replicas} {pool.role}" for pool in item.pools)
        return f"{' + '.join(parts)} × {item.accelerator}"
    words = f"{item.replicas} × {item.accelerator} {item.configuration}".strip()
    return f"{words}, batch {item.max_batch}"


def _table(plans: Mapping[str, Plan], currency: str) -> Table:
    servers = [server.name for server in _fleet(0).servers]
    rows = [
        (
            name,
            money(plan.cost_per_hour),
            served_words(plan),
            *(_runs_on(allocation_of(plan, server)) for server in servers),
        )
        for name, plan in plans.items()
    ]
    return numbers_table(("to choose from", f"{currency}/h", "served", *servers), rows)


def _findings(plans: Mapping[str, Plan], currency: str) -> list[str]:
    one, batches, narrow, apart, sliced = plans.values()
    cards = {
        name: sum(item.used for item in plan.usage if item.card_type == "A100")
        for name, plan in plans.items()
    }
    return [
        f"With one way to run each model the plan costs {money(one.cost_per_hour)} {currency}/h; "
        f"with batch limits to choose {money(batches.cost_per_hour)}, with replicas of two cards "
        f"as well {money(narrow.cost_per_hour)}.",
        f"Long prompts disturb those who are being answered. With prompts on replicas of their own "
        f"reports runs on {_runs_on(allocation_of(apart, 'reports'))}: "
        f"{money(apart.cost_per_hour)} {currency}/h in all.",
        f"Slices of A100 hold the two small servers on {cards[WAYS[-1]]} of the cards in place of "
        f"{cards[WAYS[-2]]}: {money(sliced.cost_per_hour)} {currency}/h, "
        f"{1 - sliced.cost_per_hour / one.cost_per_hour:.0%} less than with one way.",
    ]


if __name__ == "__main__":
    run(main, "12-configurations")
