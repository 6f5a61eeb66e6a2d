from dataclasses import replace

from stoker.cli.losses import losses
from stoker.domain.fleet import Capacity
from stoker.domain.settings import INFERNO_RULES
from tests.support.plans import LONG_NAME, mixed_fleet


def test_a_fleet_loses_nothing_to_itself() -> None:
    assert losses(mixed_fleet(), mixed_fleet()) == ()


def test_rounding_of_the_last_digits_is_no_loss() -> None:
    fleet = mixed_fleet()
    accelerators = tuple(
        replace(a, cost_per_hour=a.cost_per_hour * (1 + 1e-15)) for a in fleet.accelerators
    )
    assert losses(fleet, replace(fleet, accelerators=accelerators)) == ()


def test_every_kind_of_loss_is_named_with_its_place() -> None:
    fleet = mixed_fleet()
    servers = (replace(fleet.servers[0], max_replicas=7), *fleet.servers[1:])
    after = replace(
        fleet,
        currency="USD",
        rules=INFERNO_RULES,
        capacity=(Capacity("A100", 8),),
        accelerators=(replace(fleet.accelerators[0], memory_gb=80.0), *fleet.accelerators[1:]),
    )
    found = losses(replace(fleet, servers=servers), after)
    assert "currency: EUR becomes USD" in found
    assert "accelerators.memory_gb: A100: none becomes 80" in found
    assert "capacity: L4: left out" in found
    assert f"servers.max_replicas: {LONG_NAME}: 7 becomes none" in found
    assert "rules.max_blocking: 0.001 becomes none" in found


def test_many_places_are_counted_not_listed() -> None:
    fleet = mixed_fleet()
    servers = tuple(replace(s, max_queue=3) for s in fleet.servers)
    (sentence,) = losses(replace(fleet, servers=servers), fleet)
    assert sentence.startswith(f"servers.max_queue: {LONG_NAME}: 3 becomes none; ")
    assert sentence.endswith("; and 3 more places")
