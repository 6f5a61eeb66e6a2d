"""Metrics of servers: what is known of them, what was decided, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from controller.families import gauge
from controller.proposals import JsonObject


def server_metrics(document: JsonObject) -> Iterator[Metric]:
    """Yield what is known of servers, and what was decided on them."""
    yield from _figures(document)
    yield from _faults(document)
    yield from _work(document)


def _figures(document: JsonObject) -> Iterator[Metric]:
    rates, foretold, known, wanted, held = {}, {}, {}, {}, {}
    values, ages = {}, {}
    for name, server in document["servers"].items():
        if server["load"] is not None:
            rates[(name,)] = server["load"]["arrival_rate_rps"]
        if server["forecast"] is not None:
            foretold[(name,)] = server["forecast"]["arrival_rate_rps"]
        for signal, told in server["signals"].items():
            known[(name, signal)] = float(told["state"] == "known")
            if told["state"] == "known" and told["value"] is not None:
                values[(name, signal)] = told["value"]
            if "age_s" in told:
                ages[(name, signal)] = told["age_s"]
        decision = server["decision"]
        if decision is None:
            continue
        if decision["wanted_replicas"] is not None:
            wanted[(name, decision["wanted_accelerator"] or "")] = float(
                decision["wanted_replicas"]
            )
        for reason in decision["held"]:
            held[(name, reason)] = 1.0
    yield gauge(
        "stoker_server_arrival_rate_rps",
        "Requests offered per second; no series where that is unknown.",
        ("server",),
        rates,
    )
    yield gauge(
        "stoker_server_forecast_rate_rps",
        "Requests per second that were planned for.",
        ("server",),
        foretold,
    )
    yield gauge(
        "stoker_server_signal_known",
        "Whether a signal is known (1), or stale or unknown (0).",
        ("server", "signal"),
        known,
    )
    yield gauge(
        "stoker_server_signal_value",
        "Value of a signal, in the unit that its name tells; no series where it is not known.",
        ("server", "signal"),
        values,
    )
    yield gauge(
        "stoker_server_signal_age_seconds",
        "Age of the newest sample of a signal when the last cycle looked.",
        ("server", "signal"),
        ages,
    )
    yield gauge(
        "stoker_server_wanted_replicas",
        "Replicas that the last plan asks for.",
        ("server", "accelerator"),
        wanted,
    )
    yield gauge(
        "stoker_server_held",
        "What keeps a server from the size that the plan asks for.",
        ("server", "reason"),
        held,
    )


def _faults(document: JsonObject) -> Iterator[Metric]:
    degraded, ratios = {}, {}
    for name, server in document["servers"].items():
        for reason in () if server["degraded"] is None else server["degraded"]["reasons"]:
            degraded[(name, reason)] = 1.0
        rate = None if server["load"] is None else server["load"]["arrival_rate_rps"]
        pending = server["pending_rate_rps"]
        if rate and pending is not None:
            ratios[(name,)] = pending / rate
    yield gauge(
        "stoker_server_degraded",
        "Whether something keeps a server from being decided on as ever.",
        ("server", "reason"),
        degraded,
    )
    yield gauge(
        "stoker_load_disagreement_ratio",
        "Rate by Little's law over the measured rate; no series where either is unknown.",
        ("server",),
        ratios,
    )


def _work(document: JsonObject) -> Iterator[Metric]:
    work = {name: each["batch"] for name, each in document["servers"].items() if each["batch"]}
    for name, words, values in (
        (
            "stoker_batch_backlog_tokens",
            "Output tokens that a batch server has still to do.",
            {(server,): each["left_tokens"] for server, each in work.items()},
        ),
        (
            "stoker_batch_deadline_timestamp_seconds",
            "Until when.",
            {(server,): each["deadline"] for server, each in work.items()},
        ),
        (
            "stoker_batch_deadline_missed",
            "Whether work was left when its deadline had come.",
            {(server,): float(each["missed"]) for server, each in work.items()},
        ),
    ):
        yield gauge(name, words, ("server",), values)


def startup_metrics(document: JsonObject) -> Iterator[Metric]:
    """Yield how long replicas take to start, as it is planned with."""
    pairs = document["startups"]
    yield gauge(
        "stoker_startup_seconds",
        "Start-up time of a replica that is planned with.",
        ("model", "accelerator", "origin"),
        {(each["model"], each["accelerator"], each["origin"]): each["seconds"] for each in pairs},
    )
    yield gauge(
        "stoker_startup_observed",
        "Starts that the start-up time was learned from.",
        ("model", "accelerator"),
        {(each["model"], each["accelerator"]): float(each["starts"]) for each in pairs},
    )


def profile_metrics(document: JsonObject) -> Iterator[Metric]:
    """Yield how profiles are corrected."""
    labels = ("model", "accelerator", "configuration", "part")
    applied, errors = {}, {}
    for profile in document["profiles"]:
        names = (profile["model"], profile["accelerator"], profile["configuration"])
        for part, told in profile["factors"].items():
            applied[(*names, part)] = told["applied"]
            errors[(*names, part)] = told["sd"]
    yield gauge(
        "stoker_profile_factor",
        "Factor on the times of a profile that is planned with; 1 where none is applied.",
        labels,
        applied,
    )
    yield gauge(
        "stoker_profile_factor_error",
        "How well the factor is known: standard deviation of its logarithm.",
        labels,
        errors,
    )
