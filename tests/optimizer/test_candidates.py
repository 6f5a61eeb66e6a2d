"""Rules that turn a fleet into candidates, each provoked by hand."""

import dataclasses
import math

import numpy as np
import pytest

from optimizer.candidates import build_candidates
from optimizer.evaluate import evaluate
from optimizer.table import ACCEPTED, EMPTY, REJECTIONS, CandidateTable
from queueing.replica import ReplicaCases, analyze
from queueing.service import TokenWorkService
from stoker.domain.profile import LinearParameters, ModelProfile, TokenWorkParameters
from stoker.domain.reasons import Rejection
from stoker.domain.server import Allocation
from stoker.domain.settings import INFERNO_RULES, STOKER_RULES, PlanningRules
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.workload import Load
from tests.support.small_fleets import BIG, CHEAP, OLD, PROFILES, make_fleet, make_server

ACCELERATORS = ("Big", "Cheap", "Old")


def why(table: CandidateTable, server: int = 0) -> dict[str, Rejection | None]:
    """Rejection of each accelerator for a server, None where accepted."""
    return {
        table.accelerators[table.accelerator[row]]: (
            None if table.rejection[row] == ACCEPTED else REJECTIONS[table.rejection[row] - 1]
        )
        for row in range(table.row_start[server], table.row_start[server + 1])
    }


def with_profile(**changes: object) -> tuple[ModelProfile, ...]:
    return (dataclasses.replace(PROFILES[0], **changes), *PROFILES[1:])  # type: ignore[arg-type]


def gold(
    ttft_ms: float | None = None, itl_ms: float | None = None, tps: float | None = None
) -> tuple[ServiceClass, ...]:
    return (ServiceClass("gold", 1, (SloTarget("m", ttft_ms, itl_ms, tps),)),)


def test_both_parameter_generations_stand_in_one_table() -> None:
    table = build_candidates(make_fleet())
    assert why(table) == {"Big": None, "Cheap": None, "Old": None}
    assert table.accelerators == ACCELERATORS
    assert table.card_types == ("B", "C")
    assert table.card_type.tolist() == [0, 1, 1]
    assert table.cards_per_replica.tolist() == [2, 1, 2]
    assert table.unit_cost_per_hour.tolist() == [5.0, 1.0, 1.0]
    assert np.array_equal(table.cost_per_hour, table.unit_cost_per_hour * table.replicas)
    assert np.all(table.blocking <= 0.001)
    assert np.all(table.utilization < 1)
    assert table.max_queue.tolist() == [10 * batch for batch in table.max_batch.tolist()]


def test_replicas_are_the_fewest_that_carry_the_load() -> None:
    table = build_candidates(make_fleet())
    needed = 4.0 / table.max_rate_rps
    assert np.all(table.replicas >= needed)
    assert np.all(table.replicas - 1 < needed)


def test_batch_limit_shares_memory_by_length_unless_the_server_has_its_own() -> None:
    longer = Load(arrival_rate_rps=1.0, input_tokens=128, output_tokens=300)
    own = make_server("b", max_batch=7)
    table = build_candidates(make_fleet(make_server("a", load=longer), own))
    assert table.max_batch.tolist() == [54, 13, 6, 7, 7, 7]


def test_a_batch_limit_beyond_all_engines_is_cut_not_refused() -> None:
    short = Load(arrival_rate_rps=1.0, input_tokens=16, output_tokens=1)
    table = build_candidates(
        make_fleet(make_server(load=short), profiles=with_profile(max_batch=100_000))
    )
    assert table.max_batch[0] == 65_536
    assert why(table)["Big"] is None


def test_queue_limits_follow_the_rules_of_the_format() -> None:
    servers = (make_server("a"), make_server("b", max_queue=3))
    own = build_candidates(make_fleet(*servers))
    reference = build_candidates(make_fleet(*servers, rules=INFERNO_RULES))
    assert own.max_queue.tolist() == [640, 160, 80, 3, 3, 3]
    # In the reference's rules only the token-work generation heeds the server's queue.
    assert reference.max_queue.tolist() == [0, 0, 80, 3, 3, 80]


def test_tps_target_replaces_the_rate_in_the_reference_and_raises_it_in_stoker() -> None:
    low, high = 256.0 * 2.0, 256.0 * 9.0
    for target, own, reference in ((low, 4.0, 2.0), (high, 9.0, 9.0)):
        classes = gold(ttft_ms=1000.0, itl_ms=60.0, tps=target)
        assert build_candidates(make_fleet(classes=classes)).total_rate_rps[0] == own
        fleet = make_fleet(classes=classes, rules=INFERNO_RULES)
        assert build_candidates(fleet).total_rate_rps[0] == reference


def test_tps_target_leaves_a_margin() -> None:
    rules = PlanningRules(max_blocking=None)
    plain = build_candidates(make_fleet(classes=gold(ttft_ms=9e9), rules=rules))
    promised = build_candidates(make_fleet(classes=gold(ttft_ms=9e9, tps=1.0), rules=rules))
    assert promised.max_rate_rps == pytest.approx(0.9 * plain.max_rate_rps, rel=0.02)


def test_minimum_of_replicas_raises_the_count_and_lowers_the_share() -> None:
    plain = build_candidates(make_fleet())
    more = build_candidates(make_fleet(make_server(min_replicas=30)))
    assert more.replicas.tolist() == [30, 30, 30]
    assert np.all(more.utilization < plain.utilization)
    assert np.array_equal(more.max_rate_rps, plain.max_rate_rps)


def test_zero_load_without_minimum_is_one_empty_row() -> None:
    nothing = Load(arrival_rate_rps=0.0, input_tokens=128, output_tokens=256)
    current = Allocation("Cheap", 3, cost_per_hour=3.0)
    table = build_candidates(make_fleet(make_server("a", load=nothing, current=current)))
    assert table.accelerator.tolist() == [EMPTY]
    assert (table.replicas[0], table.cost_per_hour[0], table.total_rate_rps[0]) == (0, 0.0, 0.0)
    assert table.value[0] == pytest.approx(-3.0 + 0.1 * 3.0)
    assert table.rejection[0] == ACCEPTED


def test_zero_load_with_minimum_keeps_it_at_the_profile_s_own_batch() -> None:
    nothing = Load(arrival_rate_rps=0.0, input_tokens=128, output_tokens=0.0)
    table = build_candidates(make_fleet(make_server(load=nothing, min_replicas=2)))
    assert table.replicas.tolist() == [2, 2, 2]
    assert table.max_batch.tolist() == [64, 16, 8]
    assert table.itl_ms == pytest.approx([8.02, 20.05, 31.5])
    assert table.ttft_ms == pytest.approx([8.02 + 0.0002 * 64, 20.05 + 0.001 * 16, 40.05])
    assert table.utilization.tolist() == [0.0, 0.0, 0.0]
    assert table.blocking.tolist() == [0.0, 0.0, 0.0]


def test_value_counts_the_transition() -> None:
    fleet = make_fleet(make_server(current=Allocation("Cheap", 4, cost_per_hour=4.0)))
    table = build_candidates(fleet)
    cost = table.cost_per_hour
    assert table.value[0] == pytest.approx(cost[0] - 4.0 + 0.1 * (cost[0] + 4.0))
    assert table.value[1] == pytest.approx(cost[1] - 4.0)
    replicas = int(table.replicas[1])
    stays = Allocation("Cheap", replicas, cost_per_hour=99.0)
    assert build_candidates(make_fleet(make_server(current=stays))).value[1] == 0.0
    new = build_candidates(make_fleet())
    assert new.value == pytest.approx(1.1 * new.cost_per_hour)


def test_keep_accelerator() -> None:
    here = Allocation("Cheap", 1)
    kept = make_server(keep_accelerator=True, current=here)
    assert why(build_candidates(make_fleet(kept))) == {
        "Big": Rejection.NOT_CURRENT,
        "Cheap": None,
        "Old": Rejection.NOT_CURRENT,
    }
    nowhere = make_server(keep_accelerator=True)
    assert set(why(build_candidates(make_fleet(nowhere))).values()) == {None}
    gone = make_server(keep_accelerator=True, current=Allocation("Gone", 1))
    assert set(why(build_candidates(make_fleet(gone))).values()) == {Rejection.NOT_CURRENT}


def test_unknown_load_decides_nothing() -> None:
    table = build_candidates(make_fleet(make_server(load=None)))
    assert set(why(table).values()) == {Rejection.LOAD_UNKNOWN}
    assert math.isnan(table.total_rate_rps[0])


def test_no_target_and_no_profile() -> None:
    server = make_server(service_class="other")
    assert set(why(build_candidates(make_fleet(server))).values()) == {Rejection.NO_TARGET}
    table = build_candidates(make_fleet(profiles=PROFILES[1:]))
    assert why(table)["Big"] is Rejection.NO_PROFILE
    stranger = make_server(model="unheard of")
    classes = (ServiceClass("gold", 1, (SloTarget("unheard of", itl_ms=50.0),)),)
    table = build_candidates(make_fleet(stranger, classes=classes))
    assert set(why(table).values()) == {Rejection.NO_PROFILE}


def test_zero_parameters() -> None:
    nothing = with_profile(parameters=TokenWorkParameters(0.0, 0.0, 0.0))
    assert why(build_candidates(make_fleet(profiles=nothing)))["Big"] is Rejection.ZERO_PARAMETERS
    linear = with_profile(parameters=LinearParameters(0.0, 0.0, 0.0, 0.0))
    assert why(build_candidates(make_fleet(profiles=linear)))["Big"] is Rejection.ZERO_PARAMETERS


def test_memory_for_the_model_itself() -> None:
    for needed, expected in ((160.0, None), (160.5, Rejection.MEMORY), (None, None)):
        profiles = with_profile(required_memory_gb=needed)
        assert why(build_candidates(make_fleet(profiles=profiles)))["Big"] is expected
    two_units = with_profile(required_memory_gb=300.0, accelerators_per_replica=2)
    assert why(build_candidates(make_fleet(profiles=two_units)))["Big"] is None
    unknown = dataclasses.replace(BIG, memory_gb=None)
    profiles = with_profile(required_memory_gb=999.0)
    fleet = make_fleet(profiles=profiles, accelerators=(unknown, CHEAP, OLD))
    assert why(build_candidates(fleet))["Big"] is None


def test_memory_for_one_request() -> None:
    long = make_server(load=Load(0.01, 128, 3000))
    own = build_candidates(make_fleet(long, classes=gold(itl_ms=500.0)))
    assert why(own)["Old"] is Rejection.MEMORY
    reference = build_candidates(make_fleet(long, classes=gold(itl_ms=500.0), rules=INFERNO_RULES))
    assert why(reference)["Old"] is None
    assert reference.max_batch[2] == 1


def test_unreachable_latencies_tell_what_can_be_reached() -> None:
    table = build_candidates(make_fleet(classes=gold(itl_ms=9.0)))
    assert why(table) == {
        "Big": None,
        "Cheap": Rejection.ITL_UNREACHABLE,
        "Old": Rejection.ITL_UNREACHABLE,
    }
    assert table.best_ms[1, 1] == pytest.approx(20.0, rel=0.05)
    assert math.isnan(table.best_ms[1, 0])
    table = build_candidates(make_fleet(classes=gold(ttft_ms=30.0)))
    assert why(table) == {
        "Big": None,
        "Cheap": Rejection.TTFT_UNREACHABLE,
        "Old": Rejection.TTFT_UNREACHABLE,
    }
    assert table.best_ms[0, 1] > 30.0
    rejected = table.rejection != ACCEPTED
    assert np.all(np.isnan(table.cost_per_hour[rejected]))
    assert np.all(table.replicas[rejected] == 0)


def test_targets_that_conflict() -> None:
    # With one request at a time ITL falls as the load rises, and TTFT rises with it.
    server = make_server(max_batch=1, max_queue=100)
    case = ReplicaCases(
        service=TokenWorkService.of(8.0, 0.02, 0.0002),
        input_tokens=np.array([128.0]),
        output_tokens=np.array([256.0]),
        max_batch=np.array([1.0]),
        max_queue=np.array([100.0]),
    )
    busiest = analyze(case, 0.45)
    idlest = analyze(case, 0.01)
    assert busiest.itl_ms[0] < idlest.itl_ms[0]
    itl_ms = float(busiest.itl_ms[0] + idlest.itl_ms[0]) / 2
    ttft_ms = float(idlest.ttft_ms[0])
    for target, expected in (
        ({"itl_ms": itl_ms, "ttft_ms": 9e9}, None),
        ({"itl_ms": 9e9, "ttft_ms": ttft_ms}, None),
        ({"itl_ms": itl_ms, "ttft_ms": ttft_ms}, Rejection.TARGETS_CONFLICT),
    ):
        table = build_candidates(make_fleet(server, classes=gold(**target)))
        assert why(table)["Big"] is expected
    # Ninety replicas would have so little to do each that ITL is missed again.
    spread = dataclasses.replace(server, min_replicas=90)
    table = build_candidates(make_fleet(spread, classes=gold(itl_ms=itl_ms, ttft_ms=9e9)))
    assert why(table)["Big"] is Rejection.ITL_UNREACHABLE
    assert table.best_ms[1, 0] > itl_ms


def test_a_replica_more_where_the_equal_share_would_miss_itl() -> None:
    # ITL jumps where the number of prefill chunks does: ten replicas suffice for the rate, but at
    # a tenth of the load each misses the target that it keeps at its largest rate.
    server = make_server(load=Load(24.182663619901728, 16000, 8), max_batch=8)
    fleet = make_fleet(server, classes=gold(itl_ms=146.03195291910947), profiles=PROFILES[:1])
    table = build_candidates(fleet)
    assert why(table)["Big"] is None
    assert math.ceil(table.total_rate_rps[0] / table.max_rate_rps[0]) == 10
    assert table.replicas[0] == 11
    assert table.itl_ms[0] <= 146.032
    row = np.array([0])
    at_ten = evaluate(fleet, table, row, table.total_rate_rps / 10)
    assert at_ten.itl_ms[0] > 146.033
    bound = dataclasses.replace(server, max_replicas=10)
    assert why(build_candidates(dataclasses.replace(fleet, servers=(bound,))))["Big"] is (
        Rejection.REPLICA_BOUND
    )


def test_blocking_bound() -> None:
    # One seat, no queue: even a thousandth of the rate turns away a thousandth of the requests.
    strict = dataclasses.replace(STOKER_RULES, max_blocking=1e-6)
    server = make_server(max_batch=1, max_queue=0)
    table = build_candidates(make_fleet(server, classes=gold(ttft_ms=1e6), rules=strict))
    assert set(why(table).values()) == {Rejection.BLOCKING_UNREACHABLE}
    loose = build_candidates(make_fleet(server, classes=gold(ttft_ms=1e6), rules=INFERNO_RULES))
    assert set(why(loose).values()) == {None}
    assert np.all(loose.blocking[:2] > 0.001)


def test_replica_bounds() -> None:
    plain = build_candidates(make_fleet())
    most = int(plain.replicas[1]) - 1
    table = build_candidates(make_fleet(make_server(max_replicas=most)))
    assert why(table)["Cheap"] is Rejection.REPLICA_BOUND
    assert table.max_rate_rps[1] == plain.max_rate_rps[1]
    for bound, expected in ((most + 1, None), (most, Rejection.REPLICA_BOUND)):
        rules = PlanningRules(max_replicas=bound)
        assert why(build_candidates(make_fleet(rules=rules)))["Cheap"] is expected
    # A minimum of its own lifts the bound of the rules, never that of the server.
    lifted = make_server(min_replicas=50)
    rules = PlanningRules(max_replicas=1)
    assert why(build_candidates(make_fleet(lifted, rules=rules)))["Cheap"] is None


def test_an_idle_minimum_above_the_maximum_is_out_of_bounds() -> None:
    idle = make_server(load=Load(0.0, 1, 1), min_replicas=4, max_replicas=3)
    assert set(why(build_candidates(make_fleet(idle))).values()) == {Rejection.REPLICA_BOUND}


def test_figures_beyond_computing() -> None:
    huge = with_profile(parameters=TokenWorkParameters(1e300, 1e300, 1e300))
    assert why(build_candidates(make_fleet(profiles=huge)))["Big"] is Rejection.NUMERIC
    faint = make_server(load=Load(1e-300, 128, 256))
    assert set(why(build_candidates(make_fleet(faint))).values()) == {Rejection.NUMERIC}
    endless = make_server(load=Load(1e300, 128, 256))
    assert set(why(build_candidates(make_fleet(endless))).values()) == {Rejection.REPLICA_BOUND}


def test_more_cards_than_can_be_counted() -> None:
    crowd = dataclasses.replace(BIG, cards=1_000_000_000)
    profiles = with_profile(accelerators_per_replica=1_000_000_000)
    fleet = make_fleet(profiles=profiles, accelerators=(crowd, CHEAP, OLD))
    assert why(build_candidates(fleet))["Big"] is Rejection.NUMERIC


def test_a_fleet_without_accelerators_has_empty_rows_alone() -> None:
    idle = make_server("idle", load=Load(0.0, 1, 1))
    fleet = make_fleet(make_server("busy"), idle, accelerators=(), profiles=(), cards={})
    table = build_candidates(fleet)
    assert table.row_start.tolist() == [0, 0, 1]
    assert table.accelerator.tolist() == [EMPTY]


def test_same_fleet_same_bits() -> None:
    fleet = make_fleet(*(make_server(f"s{k}", load=Load(k + 0.5, 100, 200)) for k in range(9)))
    one, other = build_candidates(fleet), build_candidates(fleet)
    for field in dataclasses.fields(CandidateTable):
        mine, again = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            assert mine.tobytes() == again.tobytes(), field.name
    # A server's rows do not depend on the servers beside it.
    alone = build_candidates(dataclasses.replace(fleet, servers=fleet.servers[4:5]))
    assert alone.ttft_ms.tobytes() == one.ttft_ms[12:15].tobytes()
