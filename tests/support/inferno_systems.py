"""A small system in Inferno's format, and ways to spoil it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from data.fleets import parse_fleet
from stoker.domain.errors import InvalidInputError, Problem

Json = dict[str, Any]

SYSTEM: Json = {
    "system": {
        "acceleratorData": {
            "accelerators": [
                {
                    "name": "2xA",
                    "type": "A",
                    "multiplicity": 2,
                    "memSize": 160,
                    "memBW": 4000,
                    "power": {"idle": 100, "full": 800, "midPower": 500, "midUtil": 0.6},
                    "cost": 112.35,
                }
            ]
        },
        "capacityData": {"count": [{"type": "A", "count": 8}, {"type": "unused", "count": 1}]},
        "modelData": {
            "models": [
                {
                    "name": "m",
                    "acc": "2xA",
                    "accCount": 0,
                    "maxBatchSize": 32,
                    "atTokens": 512,
                    "perfParms": {"alpha": 20, "beta": 0.4, "gamma": 0.01},
                },
                {
                    "name": "n",
                    "acc": "2xA",
                    "accCount": 3,
                    "maxBatchSize": 16,
                    "atTokens": 256,
                    "decodeParms": {"alpha": 20, "beta": 0.4},
                    "prefillParms": {"gamma": 5, "delta": 0},
                },
            ]
        },
        "serviceClassData": {
            "serviceClasses": [
                {
                    "name": "Gold",
                    "priority": 1,
                    "modelTargets": [
                        {"model": "m", "slo-itl": 40, "slo-ttft": 1000, "slo-tps": 0},
                        {"model": "n", "slo-tps": 2000},
                    ],
                }
            ]
        },
        "serverData": {
            "servers": [
                {
                    "name": "one",
                    "class": "Gold",
                    "model": "m",
                    "currentAlloc": {
                        "accelerator": "",
                        "load": {"arrivalRate": 60.6, "avgInTokens": 128, "avgOutTokens": 512},
                    },
                },
                {
                    "name": "two",
                    "model": "n",
                    "keepAccelerator": True,
                    "minNumReplicas": 2,
                    "maxBatchSize": 8,
                    "maxQueueSize": 50,
                    "currentAlloc": {
                        "accelerator": "2xA",
                        "numReplicas": 2,
                        "maxBatch": 8,
                        "cost": 674.1,
                        "itlAverage": 25,
                        "ttftAverage": 300,
                        "load": {
                            "arrivalRate": 0,
                            "throughput": 12,
                            "avgInTokens": 1,
                            "avgOutTokens": 1,
                        },
                    },
                },
                {"name": "three", "class": "Gold", "model": "n"},
            ]
        },
        "optimizerData": {"optimizer": {"saturationPolicy": "RoundRobin", "milpSolver": False}},
    }
}


def system() -> Json:
    return copy.deepcopy(SYSTEM)


def problems_of(document: object) -> tuple[Problem, ...]:
    with pytest.raises(InvalidInputError) as caught:
        parse_fleet(document, file="s.json")
    return caught.value.problems


def at(*path: str | int, to: object) -> Callable[[Json], None]:
    def apply(document: Json) -> None:
        here: Any = document["system"]
        for part in path[:-1]:
            here = here[part]
        here[path[-1]] = to

    return apply


MODEL = ("modelData", "models", 0)
SERVER = ("serverData", "servers", 0)
ACCELERATOR = ("acceleratorData", "accelerators", 0)
TARGETS = ("serviceClassData", "serviceClasses", 0, "modelTargets")
