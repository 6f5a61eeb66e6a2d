"""Examples of the correction: random replicas, simulated.

Half of them are drawn as the published grid is, from other seeds; the other half from a wider
range: batch limits to 512, prompts of 8 to 16,000 tokens, answers of mostly 12 to 3000,
coefficients of variation to 1.7 of lengths and 2.2 of arrivals, loads from 0.03 to 0.97 of the
analysed saturation throughput. They are many and short: half-widths of 3% to 5% are asked for, and
what is known less well counts for less.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.fidelity.case import KINDS, Json, OperatingPoint, Replica
from benchmarks.fidelity.drawing import PARAMETERS, Draw, log_between, longest, model_of, published
from benchmarks.fidelity.engine import cases_of
from benchmarks.fidelity.simulated import Effort, Precision, Truth, simulated
from queueing.engine.saturation import saturation
from stoker.domain.replica import DEFAULT_TOKEN_BUDGET

SEED = 7878
EFFORT = Effort(
    (
        Precision("ttft", "mean", 0.03),
        Precision("ttft", "p95", 0.05),
        Precision("itl", "mean", 0.03),
        Precision("itl", "p95", 0.05),
    ),
    requests=60_000,
    per_slot=250,
    most_requests=240_000,
)


@dataclass(frozen=True, slots=True)
class Example:
    """A replica at a rate and what simulation says of it.

    Attributes:
        replica: The replica.
        truth: What it did.
    """

    replica: Replica
    truth: Truth


@dataclass(frozen=True, slots=True)
class Simulating:
    """The task of simulating an example.

    Attributes:
        replica: The replica.
        rate_rps: Requests per second.
        seed: Of the simulation.
    """

    replica: Replica
    rate_rps: float
    seed: int

    def __call__(self) -> Example:
        """Simulate."""
        return Example(self.replica, simulated(self.replica, self.rate_rps, self.seed, EFFORT))


def drawn(count: int, seed: int = SEED) -> list[Simulating]:
    """Return what to simulate for that many examples; those that memory could never hold lack."""
    half = count // 2
    points = [*published(half, seed), *_wide(count - half, seed + 1)]
    cases = cases_of([point.replica for point in points])
    with np.errstate(all="ignore"):
        saturated = saturation(cases).throughput_rps
    return [
        Simulating(point.replica, point.load * float(rate), seed * 100_000 + index)
        for index, (point, rate) in enumerate(zip(points, saturated, strict=True))
        if rate > 0.0
    ]


def missing(count: int, known: Sequence[Example]) -> list[Simulating]:
    """Return what to simulate beside the known examples to have that many.

    Simulations end in any order, so that those known need not be the first ones drawn.
    """
    seen = {example.replica for example in known}
    tasks = [task for task in drawn(count) if task.replica not in seen]
    return tasks[: max(count - len(known), 0)]


def _wide(count: int, seed: int) -> Iterator[OperatingPoint]:
    random = np.random.default_rng(seed)
    for index in range(count):
        drawn: dict[str, float] = {}

        def draw(name: str, drawn: dict[str, float] = drawn) -> float:
            return drawn.setdefault(name, float(random.random()))

        yield OperatingPoint(_wide_replica(draw), 0.03 + 0.94 * draw("load"), index + 1)


def _wide_replica(draw: Draw) -> Replica:
    max_batch = round(log_between(draw("batch"), 1, 512))
    input_tokens = float(round(log_between(draw("input"), 8, 16_000)))
    shortest = 1 if draw("short answers") < 0.15 else 12
    output_tokens = float(round(log_between(draw("output"), shortest, 3000)))
    input_cv = _spread(draw, "input CV", 0.2, 1.7)
    output_cv = _spread(draw, "output CV", 0.2, 1.7)
    budget, kv_tokens = DEFAULT_TOKEN_BUDGET, None
    if draw("chunked") < 0.3:
        budget = max(round(log_between(draw("budget"), 256, 16_384)), max_batch)
    if draw("memory") < 0.35:
        full = max_batch * (input_tokens + output_tokens / 2 * (1 + output_cv**2))
        largest = longest(input_tokens, input_cv) + longest(output_tokens, output_cv)
        share = log_between(draw("memory share"), 0.15, 1.4)
        kv_tokens = math.ceil(max(share * full, largest) + 16)
    return Replica(
        family="wide",
        parameters=PARAMETERS[model_of(draw("model"))](draw),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        input_cv=input_cv,
        output_cv=output_cv,
        arrival_cv=1.0 if draw("poisson") < 0.4 else _spread(draw, "arrival CV", 0.1, 2.2),
        max_batch=max_batch,
        token_budget=budget,
        kv_tokens=kv_tokens,
        prefix_hit_rate=round(0.9 * draw("hit rate"), 3) if draw("prefix") < 0.2 else 0.0,
    )


def _spread(draw: Draw, name: str, none: float, most: float) -> float:
    return 0.0 if draw(f"no {name}") < none else round(most * draw(name), 3)


def write(examples: Iterable[Example], path: Path) -> Iterator[Example]:
    """Add examples to a file of JSON lines as they come, and yield them on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for example in examples:
            plain = {"replica": example.replica.to_json(), "truth": example.truth.to_json()}
            file.write(json.dumps(plain) + "\n")
            file.flush()
            yield example


def read(path: Path) -> list[Example]:
    """Return the examples of a file; a line that was cut short is left out."""
    examples = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            plain = json.loads(line)
        except json.JSONDecodeError:
            continue
        examples.append(Example(_replica(plain["replica"]), Truth.from_json(plain["truth"])))
    return examples


def _replica(plain: dict[str, Json]) -> Replica:
    parameters = plain["parameters"]
    assert isinstance(parameters, dict)
    kind = KINDS[str(parameters["kind"])]
    fields = {name: _frozen(value) for name, value in parameters.items() if name != "kind"}
    return Replica(**plain | {"parameters": kind(**fields)})  # type: ignore[arg-type]


def _frozen(value: Json) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
