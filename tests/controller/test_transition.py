"""Moves between workloads: made before broken, whatever happens on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.judging import Health
from controller.memory import Transition
from controller.transition import ABORT, Means, Step, next_step
from stoker.domain.control.choices import TransitionKind
from stoker.domain.control.cluster import (
    ReplicaPhase,
    ReplicaState,
    VariantState,
    WorkloadRef,
)
from stoker.domain.control.settings import TransitionSettings

OLD, NEW = WorkloadRef("models", "old"), WorkloadRef("models", "new")
HEALTHY = Health()
ROLLING = TransitionSettings(kind=TransitionKind.ROLLING, ready_timeout_s=600.0)
BLUE_GREEN = replace(ROLLING, kind=TransitionKind.BLUE_GREEN)
CANARY = replace(
    ROLLING, kind=TransitionKind.CANARY, canary_steps=(0.25, 0.5, 1.0), canary_hold_s=60.0
)


@dataclass
class World:
    """Two workloads whose new replicas get ready after a while, within free cards."""

    old: int
    wanted: int
    settings: TransitionSettings
    free: int = 100
    startup_s: float = 60.0
    time: float = 1000.0
    new: int = 0
    health: Health = HEALTHY
    forget: bool = False
    annotations: dict[str, str] | None = None

    def __post_init__(self) -> None:
        self.before = self.old
        self.born: list[float] = []
        self.transition: Transition | None = Transition(OLD, NEW, self.old, self.time)
        self.steps: list[Step] = []

    @property
    def ready(self) -> int:
        return sum(self.time - born >= self.startup_s for born in self.born)

    def step(self) -> Step:
        assert self.transition is not None
        transition = self.transition
        if self.forget:  # another loop takes over at every step
            transition = Transition(OLD, NEW, None, self.time)
        step = next_step(
            transition,
            VariantState(OLD, "chat", "H100", self.old, _ready(self.old)),
            VariantState(
                NEW,
                "chat",
                "L4",
                self.new,
                tuple(self._replica(born) for born in self.born),
                annotations=self.annotations or {},
            ),
            Means(
                self.wanted,
                self.free - self.new,
                self.before if transition.back else 0,  # it is planned there once it goes back
                None,
            ),
            self.health,
            self.settings,
            self.time,
        )
        self.old, self.new = step.source_replicas, step.target_replicas
        self.born = self.born[: self.new] + [self.time] * (self.new - len(self.born))
        self.transition = step.transition
        self.steps.append(step)
        self.time += 30.0
        return step

    def run(self, most: int = 200) -> Step:
        for _ in range(most):
            step = self.step()
            if step.done is not None:
                return step
        raise AssertionError(f"not over after {most} steps: {step}")

    def _replica(self, born: float) -> ReplicaState:
        ready = self.time - born >= self.startup_s
        phase = ReplicaPhase.READY if ready else ReplicaPhase.STARTING
        return ReplicaState("new", phase, "node", born, born, born + self.startup_s)


def _ready(count: int) -> tuple[ReplicaState, ...]:
    return tuple(ReplicaState("old", ReplicaPhase.READY, "node") for _ in range(count))


@pytest.mark.parametrize("settings", [ROLLING, BLUE_GREEN, CANARY])
@pytest.mark.parametrize("forget", [False, True])
def test_it_ends_on_the_new_workload(settings: TransitionSettings, forget: bool) -> None:
    if settings is CANARY and forget:
        settings = replace(settings, canary_hold_s=0.0)  # nobody remembers since when it is watched
    world = World(4, 8, settings, forget=forget)
    step = world.run()
    assert step.done is True
    assert (world.old, world.new) == (0, 8)


@given(
    old=st.integers(1, 12),
    wanted=st.integers(1, 12),
    free=st.integers(1, 14),
    kind=st.sampled_from([ROLLING, BLUE_GREEN, replace(CANARY, canary_hold_s=0.0)]),
    forget=st.booleans(),
    startup_s=st.sampled_from([0.0, 45.0, 130.0]),
)
def test_capacity_never_falls_below_both_ends(
    old: int,
    wanted: int,
    free: int,
    kind: TransitionSettings,
    forget: bool,
    startup_s: float,
) -> None:
    world = World(old, wanted, kind, free=free, forget=forget, startup_s=startup_s)
    for _ in range(60):
        if world.transition is None:
            break
        world.step()
        # What the old ones carry, as a share of what they did, and the new ones of what they will.
        carried = world.old / old + min(world.ready, wanted) / wanted
        assert carried >= 1 - 1e-9
        assert world.new <= max(free, 0)
    if free >= wanted:
        assert world.transition is None
        assert (world.old, world.new) == (0, wanted)
    else:
        assert world.old >= 1  # there is no room for all the new ones: some old ones stay


def test_rolling_goes_as_new_ones_get_ready_and_blue_green_waits_for_all() -> None:
    rolling, blue = World(4, 4, ROLLING, startup_s=30.0), World(4, 4, BLUE_GREEN, startup_s=30.0)
    for world in (rolling, blue):
        world.free = 2
        for _ in range(3):
            world.step()
    assert rolling.old == 2
    assert blue.old == 4


def test_a_surge_limit_bounds_what_runs_together() -> None:
    world = World(4, 4, replace(ROLLING, surge_replicas=1), startup_s=30.0)
    while world.transition is not None:
        world.step()
        assert world.old + world.new <= 5
    assert (world.old, world.new) == (0, 4)


def test_replicas_that_never_get_ready_take_it_back() -> None:
    world = World(3, 3, ROLLING, startup_s=1e9)
    step = world.run()
    assert step.done is False
    assert (world.old, world.new) == (3, 0)
    assert "not ready after 600 s" in step.reason


def test_a_canary_is_watched_and_taken_back_on_a_breach() -> None:
    world = World(8, 8, CANARY, startup_s=0.0)
    world.step()
    world.step()
    assert world.new == 2
    world.health = Health(worst=1.5)
    step = world.run()
    assert step.done is False
    assert (world.old, world.new) == (8, 0)
    assert "1.50 of its target" in step.reason


def test_a_canary_that_does_all_of_the_work_is_watched_before_the_old_ones_go() -> None:
    world = World(2, 1, replace(CANARY, canary_hold_s=90.0), startup_s=30.0)
    while world.new == 0 or world.ready == 0:
        world.step()
    step = world.step()
    assert "watched" in step.reason
    assert (world.old, world.new) == (2, 1)
    world.health = Health(worst=3.0)
    step = world.run()
    assert step.done is False
    assert min(each.source_replicas for each in world.steps) == 2


@pytest.mark.parametrize("settings", [ROLLING, BLUE_GREEN, CANARY])
def test_new_replicas_that_fail_take_every_kind_of_move_back(settings: TransitionSettings) -> None:
    world = World(4, 4, settings, startup_s=30.0)
    while world.ready == 0:
        world.step()
    world.health = Health(error_rate=0.02, new_error_rate=0.3)
    step = world.run()
    assert step.done is False
    assert "30.0% of the requests to the new replicas fail" in step.reason
    assert (world.old, world.new) == (4, 0)


def test_a_move_is_over_when_the_old_ones_have_finished_their_requests() -> None:
    draining = tuple(ReplicaState("old", ReplicaPhase.TERMINATING, "node") for _ in range(2))
    ready = tuple(ReplicaState("new", ReplicaPhase.READY, "node") for _ in range(4))
    source, target = (
        VariantState(OLD, "chat", "H100", 0, draining),
        VariantState(NEW, "chat", "L4", 4, ready),
    )
    transition: Transition | None = Transition(OLD, NEW, 2, 1000.0, wanted_before=4)
    settings = replace(ROLLING, drain_s=100.0)
    for at, reason in (
        (1000.0, "2 old replicas finish their requests"),
        (1090.0, "2 old replicas finish their requests"),
        (1101.0, "moved"),
    ):
        assert transition is not None
        step = next_step(transition, source, target, Means(4, 0), HEALTHY, settings, at)
        assert (step.source_replicas, step.target_replicas, step.reason) == (0, 4, reason)
        transition = step.transition
    assert step.done is True
    gone = replace(source, replicas=())
    begun = Transition(OLD, NEW, 2, 1000.0, wanted_before=4)
    assert next_step(begun, gone, target, Means(4, 0), HEALTHY, settings, 1000.0).done is True


def test_what_the_scheduler_says_is_told_while_a_move_waits() -> None:
    pending = ReplicaState("new", ReplicaPhase.PENDING, "", 990.0, reason="no node has a card")
    step = next_step(
        Transition(OLD, NEW, 2, 1000.0, wanted_before=1),
        VariantState(OLD, "chat", "H100", 2, _ready(2)),
        VariantState(NEW, "chat", "L4", 1, (pending,)),
        Means(1, 0),
        HEALTHY,
        ROLLING,
        1000.0,
    )
    assert step.reason == "0 of 1 new replicas are ready: no node has a card"
    assert (step.source_replicas, step.target_replicas) == (2, 1)


def test_a_canary_with_errors_is_taken_back() -> None:
    world = World(4, 4, CANARY, startup_s=0.0)
    world.step()
    world.step()
    world.health = Health(worst=0.5, error_rate=0.2)
    assert world.run().done is False
    assert (world.old, world.new) == (4, 0)


def test_a_healthy_canary_goes_step_by_step() -> None:
    world = World(8, 8, CANARY, startup_s=0.0, health=Health(worst=0.9))
    assert world.run().done is True
    seen = list(dict.fromkeys(step.target_replicas for step in world.steps))
    assert seen == [2, 4, 8]
    moved_at_once = [step.source_replicas for step in world.steps]
    assert moved_at_once == sorted(moved_at_once, reverse=True)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_it_goes_back_when_asked_to(after: int) -> None:
    world = World(4, 6, ROLLING, startup_s=60.0)
    for _ in range(after):
        world.step()
    world.annotations = {ABORT: "true"}
    lowest = world.old
    step = world.run()
    assert step.done is False
    assert (world.old, world.new) == (4, 0)
    assert all(each.source_replicas >= lowest for each in world.steps[after:])


def test_what_serves_stays_until_the_plan_says_what_carries_the_load_without_it() -> None:
    ready = tuple(ReplicaState(str(each), ReplicaPhase.READY, "node") for each in range(3))
    late = ReplicaState("late", ReplicaPhase.STARTING, "node")
    back = Transition(OLD, NEW, 1, 0.0, back=True, reason="so", wanted_before=4)
    old = VariantState(OLD, "chat", "H100", 1, ready[:1])
    new = VariantState(NEW, "chat", "L4", 4, (*ready, late))
    unplanned = next_step(back, old, new, Means(4), HEALTHY, ROLLING, 0.0)
    assert (unplanned.source_replicas, unplanned.target_replicas) == (1, 3)
    assert unplanned.done is None
    planned = next_step(back, old, new, Means(4, wanted_back=2, room_back=5), HEALTHY, ROLLING, 0.0)
    assert (planned.source_replicas, planned.target_replicas) == (2, 2)
