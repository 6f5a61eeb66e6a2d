"""Fleets drawn at random, for round trips through the formats."""

from dataclasses import replace
from typing import TypeVar

from hypothesis import strategies as st

from stoker.domain.accelerator import Accelerator, PowerCurve
from stoker.domain.curve import IterationTable
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.profile import (
    EstimateKind,
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    Provenance,
    TokenWorkParameters,
)
from stoker.domain.routing import Router
from stoker.domain.server import Allocation, Server
from stoker.domain.settings import (
    INFERNO_RULES,
    STOKER_RULES,
    Analysis,
    OptimizerSettings,
    PlanningRules,
    QueueRule,
    SaturationPolicy,
    SolverKind,
)
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.units import rps_from_rpm, units_from_cents
from stoker.domain.workload import Load

Value = TypeVar("Value")

# Text that YAML or JSON could mistake for something else belongs to the names.
ODD_NAMES = ["NO", "null", "~", "1e3", "007", "0x1F", "true", "a: b", "- x", "ü ñ", "{a}", "1_000"]
names = st.one_of(st.sampled_from(ODD_NAMES), st.text("abcXYZ-_.0123 #'\"\n", min_size=1))
amounts = st.one_of(st.integers(1, 10**6).map(float), st.floats(1e-6, 1e9))
zero_amounts = st.one_of(st.just(0.0), amounts)
counts = st.integers(1, 10**6)
cents = st.decimals("0", "999999", places=4).map(float)
per_minute = st.decimals("0", "99999", places=3).map(float)


def maybe(strategy: st.SearchStrategy[Value]) -> st.SearchStrategy[Value | None]:
    return st.none() | strategy


def unique(strategy: st.SearchStrategy[str], least: int = 1) -> st.SearchStrategy[list[str]]:
    return st.lists(strategy, min_size=least, max_size=3, unique=True)


linear = st.builds(LinearParameters, amounts, zero_amounts, zero_amounts, zero_amounts)
token_work = st.builds(TokenWorkParameters, amounts, zero_amounts, zero_amounts)


@st.composite
def curves(draw: st.DrawFn) -> IterationTable:
    def knots() -> tuple[float, ...]:
        return tuple(sorted(draw(st.sets(zero_amounts, min_size=1, max_size=3))))

    def grid(rows: tuple[float, ...], columns: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(draw(amounts) for _ in columns) for _ in rows)

    batches, contexts, tokens = knots(), knots(), knots()
    reads = draw(st.one_of(st.just((0.0,)), st.just(knots())))
    prefill = grid(tokens, reads)
    shared = draw(st.sampled_from([0.0, min(min(row) for row in prefill)]))
    return IterationTable(
        batches, contexts, grid(batches, contexts), tokens, reads, prefill, shared
    )


overlap = st.builds(OverlapParameters, amounts, *[zero_amounts] * 9)
powers = st.builds(PowerCurve, zero_amounts, amounts, amounts, st.floats(0.01, 0.99))


@st.composite
def shared_fleets(draw: st.DrawFn) -> Fleet:
    """Draw a fleet that both formats can tell in full."""
    accelerators = [
        Accelerator(
            name,
            draw(st.sampled_from([name, "shared"])),
            draw(counts),
            units_from_cents(draw(cents)),
            draw(maybe(amounts)),
            draw(maybe(amounts)),
            draw(maybe(powers)),
        )
        for name in draw(unique(names))
    ]
    card_types = sorted({item.card_type for item in accelerators})
    models = draw(unique(names))
    profiles = [
        ModelProfile(
            model,
            accelerator.name,
            draw(counts),
            draw(counts),
            draw(counts),
            draw(linear | token_work),
        )
        for model in models
        for accelerator in accelerators
    ]
    classes = [
        ServiceClass(
            name,
            draw(st.integers(1, 100)),
            tuple(
                SloTarget(model, draw(maybe(amounts)), draw(maybe(amounts)), draw(maybe(amounts)))
                for model in draw(st.lists(st.sampled_from(models), unique=True))
            ),
        )
        for name in draw(unique(names))
    ]
    servers = [
        Server(
            name,
            draw(st.sampled_from(classes)).name,
            draw(st.sampled_from(models)),
            draw(maybe(loads())),
            draw(st.booleans()),
            draw(st.integers(0, 5)),
            None,
            draw(maybe(counts)),
            draw(maybe(counts)),
            draw(maybe(allocations(accelerators))),
            draw(maybe(allocations(accelerators, with_load=True))),
        )
        for name in draw(unique(names, least=0))
    ]
    return Fleet(
        currency="USD",
        accelerators=tuple(accelerators),
        capacity=tuple(Capacity(item, draw(st.integers(0, 10**6))) for item in card_types),
        profiles=tuple(profiles),
        service_classes=tuple(classes),
        servers=tuple(servers),
        settings=OptimizerSettings(
            unlimited=draw(st.booleans()),
            solver=draw(maybe(st.sampled_from(SolverKind))),
            heterogeneous=draw(st.booleans()),
            saturation_policy=draw(st.sampled_from(SaturationPolicy)),
            delayed_best_effort=draw(st.booleans()),
            backend=draw(st.sampled_from(["highs", "CPLEX"])),
        ),
        rules=INFERNO_RULES,
    )


@st.composite
def loads(draw: st.DrawFn) -> Load:
    throughput = draw(maybe(per_minute.filter(bool)))
    return Load(
        rps_from_rpm(draw(per_minute)),
        draw(zero_amounts),
        draw(zero_amounts),
        None if throughput is None else rps_from_rpm(throughput),
    )


@st.composite
def allocations(
    draw: st.DrawFn, accelerators: list[Accelerator], with_load: bool = False
) -> Allocation:
    return Allocation(
        draw(st.sampled_from(accelerators)).name,
        draw(st.integers(0, 1000)),
        draw(maybe(counts)),
        units_from_cents(draw(cents)),
        draw(maybe(amounts)),
        draw(maybe(amounts)),
        draw(maybe(loads())) if with_load else None,
    )


@st.composite
def own_fleets(draw: st.DrawFn) -> Fleet:
    """Draw a fleet that uses what only Stoker's own format can tell."""
    fleet = draw(shared_fleets())
    origin = st.builds(Provenance, st.sampled_from(EstimateKind), st.sampled_from(["", "a paper"]))
    profiles = [
        replace(
            item,
            parameters=draw(st.just(item.parameters) | curves() | overlap),
            provenance=draw(origin),
            required_memory_gb=draw(maybe(amounts)),
        )
        for item in fleet.profiles
    ]
    servers = [
        replace(
            item,
            max_replicas=draw(maybe(st.integers(5, 99))),
            max_batch=None if chosen else item.max_batch,
            max_queue=draw(maybe(counts)),
            router=draw(st.sampled_from(Router)),
            choose_batch=chosen,
        )
        for item in fleet.servers
        for chosen in [draw(st.booleans())]
    ]
    rules = PlanningRules(
        draw(st.sampled_from(QueueRule)),
        draw(maybe(st.floats(0, 1))),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(counts),
        draw(st.floats(0, 10)),
    )
    settings = replace(
        fleet.settings,
        time_limit_s=draw(maybe(amounts)),
        relative_gap=draw(maybe(st.floats(0, 1))),
        exact_servers=draw(counts),
        class_weight_ratio=draw(st.floats(1, 100)),
        analysis=draw(maybe(st.sampled_from(Analysis))),
    )
    return replace(
        fleet,
        currency="EUR",
        profiles=tuple(profiles),
        servers=tuple(servers),
        settings=settings,
        rules=draw(st.sampled_from([STOKER_RULES, rules])),
        name=draw(st.sampled_from(["", "mine"])),
        source=draw(st.sampled_from(["", "somewhere: here"])),
    )
