"""Plans and fleets made by hand, for tests of what shows them."""

from stoker.domain.accelerator import Accelerator
from stoker.domain.allocation import MixPart, PlannedAllocation
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.plan import ClassService, Plan, PlanStatus, Unplaced
from stoker.domain.profile import EstimateKind, ModelProfile, TokenWorkParameters
from stoker.domain.reasons import Rejection, UnplacedReason
from stoker.domain.server import Server
from stoker.domain.settings import Analysis
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.usage import CardUsage
from stoker.domain.workload import Load

LONG_NAME = "Premium-a_model_with_a_name_that_is_much_longer_than_most"


def server(name: str, service_class: str = "Premium", model: str = "llama_70b") -> Server:
    return Server(name=name, service_class=service_class, model=model, load=Load(2.0, 128, 1024))


def allocation(name: str, **changes: object) -> PlannedAllocation:
    fields: dict[str, object] = {
        "server": name,
        "service_class": "Premium",
        "model": "llama_70b",
        "accelerator": "2xA100",
        "replicas": 3,
        "max_batch": 32,
        "max_queue": 0,
        "cost_per_hour": 4.8,
        "value": 5.28,
        "arrival_rate_rps": 2.0,
        "ttft_ms": 35.21,
        "itl_ms": 19.397,
        "utilization": 0.6147,
        "blocking": 0.00321,
        "max_rate_rps": 1.15,
        "ttft_target_ms": 500.0,
        "itl_target_ms": 40.0,
        "tps_target": None,
        "cards": 6,
        "card_type": "A100",
        "fully_served": True,
        "estimate": EstimateKind.FITTED,
    }
    return PlannedAllocation(**(fields | changes))  # type: ignore[arg-type]


def part(accelerator: str, replicas: int) -> MixPart:
    return MixPart(
        accelerator=accelerator,
        replicas=replicas,
        max_batch=16,
        cost_per_hour=1.2,
        cards=replicas,
        card_type=accelerator,
        arrival_rate_rps=0.4,
        ttft_ms=41.0,
        itl_ms=22.0,
        utilization=0.5,
        blocking=0.0,
        max_rate_rps=0.5,
    )


def mixed_fleet() -> Fleet:
    """Return a fleet with a server for every way to be served."""
    names = [LONG_NAME, "Premium-mix", "Premium-idle"]
    servers = [server(name) for name in names]
    servers += [server(name, "Bronze") for name in ("Bronze-best", "Bronze-out", "Bronze-never")]
    target = SloTarget("llama_70b", ttft_ms=500.0, itl_ms=40.0)
    return Fleet(
        currency="EUR",
        accelerators=(
            Accelerator("A100", "A100", 1, 0.8),
            Accelerator("2xA100", "A100", 2, 1.6),
            Accelerator("L4", "L4", 1, 0.3),
        ),
        capacity=(Capacity("A100", 8), Capacity("L4", 40)),
        profiles=(
            ModelProfile("llama_70b", "2xA100", 1, 32, 1024, TokenWorkParameters(8, 0.1, 0)),
        ),
        service_classes=(
            ServiceClass("Premium", 1, (target,)),
            ServiceClass("Bronze", 10, (target,)),
        ),
        servers=tuple(servers),
        name="by-hand",
    )


def mixed_plan(**changes: object) -> Plan:
    """Return a plan of `mixed_fleet` that shows every kind of row."""
    fields: dict[str, object] = {
        "status": PlanStatus.FEASIBLE,
        "objective": 9.9,
        "bound": 9.8,
        "gap": 0.0101,
        "cost_per_hour": 1234.5,
        "currency": "EUR",
        "allocations": (
            allocation(LONG_NAME),
            allocation("Premium-mix", mix=(part("A100", 2), part("L4", 1)), card_type=None),
            allocation(
                "Premium-idle",
                accelerator=None,
                replicas=0,
                cost_per_hour=0.0,
                ttft_ms=None,
                itl_ms=None,
                utilization=None,
                blocking=None,
                cards=0,
                card_type=None,
                estimate=None,
            ),
            allocation(
                "Bronze-best",
                service_class="Bronze",
                fully_served=False,
                ttft_ms=12345.6,
                itl_ms=None,
                blocking=0.31,
            ),
        ),
        "unplaced": (
            Unplaced(
                "Bronze-best", UnplacedReason.CAPACITY, "2 of 3 replicas fit.", "4 more A100."
            ),
            Unplaced("Bronze-out", UnplacedReason.CAPACITY, "No card is left.", "Add 6 A100."),
            Unplaced(
                "Bronze-never",
                UnplacedReason.NO_CANDIDATE,
                "No accelerator reaches ITL 1 ms.",
                "Raise the ITL target.",
                {"A100": Rejection.ITL_UNREACHABLE, "L4": Rejection.NO_PROFILE},
            ),
        ),
        "usage": (CardUsage("A100", 8, 8, 1230.0), CardUsage("L4", 1, 40, 4.5)),
        "services": (ClassService(1, 3, 3, None), ClassService(10, 3, 0, 1)),
        "analysis": Analysis.REFERENCE,
        "method": "milp-exact",
        "backend": "highs",
        "notes": ("The time limit passed in the last stage.",),
        "timings_ms": {"candidates": 3.21, "solve": 5012.0},
    }
    return Plan(**(fields | changes))  # type: ignore[arg-type]
