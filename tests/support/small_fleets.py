"""Small fleets made by hand and by Hypothesis, with round figures."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from stoker.domain.accelerator import Accelerator
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.profile import LinearParameters, ModelProfile, TokenWorkParameters
from stoker.domain.server import Allocation, Server
from stoker.domain.settings import INFERNO_RULES, STOKER_RULES, PlanningRules
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.workload import Load

BIG = Accelerator(name="Big", card_type="B", cards=2, cost_per_hour=5.0, memory_gb=160.0)
CHEAP = Accelerator(name="Cheap", card_type="C", cards=1, cost_per_hour=1.0, memory_gb=24.0)
OLD = Accelerator(name="Old", card_type="C", cards=1, cost_per_hour=0.5, memory_gb=16.0)

PROFILES = (
    ModelProfile("m", "Big", 1, 64, 256, TokenWorkParameters(8.0, 0.02, 0.0002)),
    ModelProfile("m", "Cheap", 1, 16, 256, TokenWorkParameters(20.0, 0.05, 0.001)),
    ModelProfile("m", "Old", 2, 8, 256, LinearParameters(30.0, 1.5, 40.0, 0.05)),
)
"""One model on three accelerators, of both parameter generations."""

GOLD = ServiceClass("gold", 1, (SloTarget("m", ttft_ms=1000.0, itl_ms=60.0),))
BRONZE = ServiceClass("bronze", 5, (SloTarget("m", ttft_ms=4000.0, itl_ms=120.0),))

LOAD = Load(arrival_rate_rps=4.0, input_tokens=128, output_tokens=256)


def make_server(name: str = "s", **changes: object) -> Server:
    server = Server(name=name, service_class="gold", model="m", load=LOAD)
    return replace(server, **changes)  # type: ignore[arg-type]


def make_fleet(
    *servers: Server,
    cards: dict[str, int] | None = None,
    profiles: tuple[ModelProfile, ...] = PROFILES,
    classes: tuple[ServiceClass, ...] = (GOLD, BRONZE),
    rules: PlanningRules = STOKER_RULES,
    accelerators: tuple[Accelerator, ...] = (BIG, CHEAP, OLD),
) -> Fleet:
    counts = {"B": 8, "C": 20} if cards is None else cards
    return Fleet(
        currency="USD",
        accelerators=accelerators,
        capacity=tuple(Capacity(card_type, count) for card_type, count in counts.items()),
        profiles=profiles,
        service_classes=classes,
        servers=servers or (make_server(),),
        rules=rules,
        name="by hand",
    )


@st.composite
def fleets(draw: st.DrawFn, most_servers: int = 6) -> Fleet:
    """Draw fleets of the three accelerators with few cards, and servers of all kinds."""
    servers = []
    for index in range(draw(st.integers(1, most_servers))):
        rate = draw(st.sampled_from([0.0, 0.5, 2.0, 7.0, 30.0]))
        servers.append(
            make_server(
                f"s{index}",
                service_class=draw(st.sampled_from(["gold", "bronze"])),
                load=draw(st.sampled_from([None, Load(rate, 128, 256), Load(rate, 600, 64)])),
                min_replicas=draw(st.integers(0, 2)),
                max_replicas=draw(st.sampled_from([None, None, 3, 40])),
                max_batch=draw(st.sampled_from([None, None, 1, 4])),
                keep_accelerator=draw(st.booleans()),
                current=draw(
                    st.sampled_from(
                        [None, Allocation("Cheap", 2, cost_per_hour=2.0), Allocation("Gone", 1)]
                    )
                ),
            )
        )
    cards = {"B": draw(st.integers(0, 10)), "C": draw(st.integers(0, 30))}
    rules = draw(st.sampled_from([STOKER_RULES, INFERNO_RULES]))
    return make_fleet(*servers, cards=cards, rules=rules)
