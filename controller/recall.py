"""What the loop remembers, as text that outlives it."""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import Any

from controller.batch import BatchProgress
from controller.correction.gaussian import Gaussian
from controller.correction.state import Corrections, FactorState, ProfileKey
from controller.emitted import Emitted, EmittedSize
from controller.history import LoadHistory, LoadSample
from controller.memory import Memory, ServerMemory, Transition, WantedSize
from controller.season import SeasonFit
from controller.startups import Look, StartupTimes
from stoker.domain.control.cluster import WorkloadKind, WorkloadRef
from stoker.domain.errors import StokerError

VERSION = 3
_READ = (1, 2, VERSION)
"""Versions that are read: the first knew of no corrections and no work with a deadline; start-up
times of the first two are left, as pods that got ready for a second time are among them."""


class RecallError(StokerError):
    """What was written down is not a memory of this version."""


def memory_to_text(memory: Memory, *, histories: bool = True) -> str:
    """Return a memory as JSON; the last plan is left out, as the next cycle makes its own.

    Args:
        memory: The memory.
        histories: Whether the measured loads are told too.
    """
    return json.dumps(
        {
            "version": VERSION,
            "cycles": memory.cycles,
            "servers": {
                name: _server(each, histories=histories) for name, each in memory.servers.items()
            },
            "startups": _startups(memory.startups),
            "emitted": _emitted(memory.emitted),
            "corrections": [
                _correction(key, state) for key, state in memory.corrections.states.items()
            ],
        }
    )


def memory_from_text(text: str) -> Memory:
    """Return the memory of a text.

    Raises:
        RecallError: It is no memory, or one of another version.
    """
    try:
        document = json.loads(text)
        if document["version"] not in _READ:
            raise RecallError(f"memory of version {document['version']}; known: {_READ}")
        return Memory(
            {name: _read_server(each) for name, each in document["servers"].items()},
            _read_startups(document["startups"]) if document["version"] > 2 else StartupTimes(),
            cycles=int(document["cycles"]),
            corrections=Corrections(
                dict(_read_correction(each) for each in document.get("corrections", ()))
            ),
            emitted=_read_emitted(document.get("emitted")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecallError(f"not a memory of the loop: {error!r}") from error


def _server(memory: ServerMemory, *, histories: bool) -> dict[str, Any]:
    return {
        "history": [
            [each.at, each.arrival_rate_rps, each.input_tokens, each.output_tokens]
            for each in (memory.history.samples if histories else ())
        ],
        "wanted": [
            [each.at, each.accelerator, each.replicas, each.rate_rps] for each in memory.wanted
        ],
        "watched_since": memory.watched_since,
        "changed_at": memory.changed_at,
        "grown_at": memory.grown_at,
        "moved_at": memory.moved_at,
        "transition": None if memory.transition is None else _transition(memory.transition),
        "batch": None if memory.batch is None else _batch(memory.batch),
        "season": None if memory.season is None else list(astuple(memory.season)),
        "limit_refused_at": memory.limit_refused_at,
        "told_since": memory.told_since,
        "told_at": memory.told_at,
    }


def _read_server(document: dict[str, Any]) -> ServerMemory:
    told, batch = document["transition"], document.get("batch")
    season = document.get("season")
    return ServerMemory(
        LoadHistory(tuple(LoadSample(*each) for each in document["history"])),
        tuple(WantedSize(*each) for each in document["wanted"]),
        document["watched_since"],
        document["changed_at"],
        document["grown_at"],
        document["moved_at"],
        None if told is None else _read_transition(told),
        None if batch is None else BatchProgress(*batch),
        None if season is None else SeasonFit(*season),
        document.get("limit_refused_at"),
        document.get("told_since"),
        document.get("told_at"),
    )


def _startups(startups: StartupTimes) -> dict[str, Any]:
    pairs = sorted({*startups.seconds, *startups.too_long})
    return {
        "times": [
            {
                "model": pair[0],
                "accelerator": pair[1],
                "seconds": list(startups.seconds.get(pair, ())),
                "too_long": startups.too_long.get(pair, 0),
            }
            for pair in pairs
        ],
        "looks": [
            {
                "workload": _ref(ref),
                "at": look.at,
                "starting": sorted(look.starting),
                "others": sorted(look.others),
            }
            for ref, look in startups.looks.items()
        ],
    }


def _read_startups(document: dict[str, Any]) -> StartupTimes:
    times = {(each["model"], each["accelerator"]): each for each in document["times"]}
    return StartupTimes(
        {pair: tuple(each["seconds"]) for pair, each in times.items() if each["seconds"]},
        {pair: each["too_long"] for pair, each in times.items() if each["too_long"]},
        {
            _read_ref(each["workload"]): Look(
                each["at"], frozenset(each["starting"]), frozenset(each["others"])
            )
            for each in document["looks"]
        },
    )


def _emitted(emitted: Emitted) -> dict[str, Any]:
    return {
        "told_at": emitted.told_at,
        "sizes": [
            {
                "workload": _ref(ref),
                "replicas": size.replicas,
                "at": size.at,
                "behind_since": size.behind_since,
                "seen": size.seen,
            }
            for ref, size in emitted.sizes.items()
        ],
    }


def _read_emitted(document: dict[str, Any] | None) -> Emitted:
    if document is None:
        return Emitted()
    return Emitted(
        {
            _read_ref(each["workload"]): EmittedSize(
                each["replicas"],
                each["at"],
                each.get("behind_since", each["at"]),
                each.get("seen"),
            )
            for each in document["sizes"]
        },
        document["told_at"],
    )


def _batch(work: BatchProgress) -> list[float | bool]:
    return [work.backlog_tokens, work.deadline, work.at, work.done_tokens, work.missed]


def _transition(transition: Transition) -> dict[str, Any]:
    return {
        "source": _ref(transition.source),
        "target": _ref(transition.target),
        "replicas_before": transition.replicas_before,
        "started_at": transition.started_at,
        "step": transition.step,
        "step_at": transition.step_at,
        "back": transition.back,
        "reason": transition.reason,
        "wanted_before": transition.wanted_before,
        "waiting_since": transition.waiting_since,
        "draining_since": transition.draining_since,
    }


def _read_transition(document: dict[str, Any]) -> Transition:
    return Transition(
        _read_ref(document["source"]),
        _read_ref(document["target"]),
        document["replicas_before"],
        document["started_at"],
        document["step"],
        document["step_at"],
        document["back"],
        document["reason"],
        document.get("wanted_before"),
        document.get("waiting_since"),
        document.get("draining_since"),
    )


def _correction(key: ProfileKey, state: FactorState) -> dict[str, Any]:
    return {
        "profile": list(key),
        "basis": state.basis,
        "mean": list(state.known.mean),
        "variance": list(state.known.variance),
        "covariance": state.known.covariance,
        "prior_sd": state.prior_sd,
        "updated_at": state.updated_at,
        "observations": state.observations,
        "refused": state.refused,
    }


def _read_correction(document: dict[str, Any]) -> tuple[ProfileKey, FactorState]:
    decode, prefill = document["mean"]
    of_decode, of_prefill = document["variance"]
    return ProfileKey(*document["profile"]), FactorState(
        document["basis"],
        Gaussian((decode, prefill), (of_decode, of_prefill), document["covariance"]),
        document["prior_sd"],
        document["updated_at"],
        document["observations"],
        document["refused"],
    )


def _ref(ref: WorkloadRef) -> list[str]:
    return [ref.namespace, ref.name, ref.kind.value]


def _read_ref(words: list[str]) -> WorkloadRef:
    namespace, name, kind = words
    return WorkloadRef(namespace, name, WorkloadKind(kind))
