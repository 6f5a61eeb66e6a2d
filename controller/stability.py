"""From the size that a plan asks for to the size to go to now: at once up, calmly down."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from controller.memory import ServerMemory
from stoker.domain.control.changes import HoldReason
from stoker.domain.control.settings import StabilitySettings

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a plan asks for a server, and what runs.

    Attributes:
        running: Replicas that its workload of this accelerator asks for now.
        wanted: Replicas that the plan asks for.
        rate_rps: Rate that they were sized for.
        rate_of_one_rps: Largest rate of one replica within the targets; None where unknown.
        least: Fewest replicas that are allowed.
        most: Most replicas that are allowed; None for any.
        partial: Whether the load is told in part.
        young: Whether replicas began to serve so lately that their part of the load may be missing.
        idle_s: Time since the last request; None where unknown.
        unseen: Why nobody knows whether requests wait or are served; empty where that is known.
        zero_allowed: Whether it may have no replica at all.
        accelerator: Accelerator that these are replicas on; sizes asked for on others do not count.
    """

    running: int
    wanted: int
    rate_rps: float
    rate_of_one_rps: float | None
    least: int = 0
    most: int | None = None
    partial: bool = False
    young: bool = False
    idle_s: float | None = None
    unseen: str = ""
    zero_allowed: bool = False
    accelerator: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """The size to go to now.

    Attributes:
        replicas: Replicas.
        held: What keeps it from the size asked for; empty where nothing does.
        reason: Why, in words; empty where nothing does.
    """

    replicas: int
    held: tuple[HoldReason, ...] = ()
    reason: str = ""


def settle(sizing: Sizing, memory: ServerMemory, at: float, settings: StabilitySettings) -> Settled:
    """Return the size to go to now.

    Growing happens at once, within the largest step. Shrinking needs all of: the smaller size was
    enough during the whole window, it is still enough with the load of `hysteresis` more, the
    cooldown is over, it is no quiet hour, and the load is told in full.

    Args:
        sizing: What is asked for, and what runs.
        memory: What was asked for before, this time included.
        at: Now, in seconds since the epoch.
        settings: The rules.
    """
    least = sizing.least
    if sizing.running > 0 and not sizing.zero_allowed:
        least = max(1, least)
    most = math.inf if sizing.most is None else max(sizing.most, least)
    wanted = int(min(max(sizing.wanted, least), most))
    if wanted > sizing.running:
        settled = _grow(sizing, wanted, memory, at, settings)
    elif wanted < sizing.running:
        settled = _shrink(sizing, wanted, most, memory, at, settings)
    else:
        settled = Settled(sizing.running)
    if sizing.wanted > wanted and not settled.reason:
        words = f"{sizing.wanted} replicas would be needed, and {wanted} are allowed at most"
        return replace(settled, reason=words)
    return settled


def _grow(
    sizing: Sizing, wanted: int, memory: ServerMemory, at: float, settings: StabilitySettings
) -> Settled:
    if memory.grown_at is not None and at - memory.grown_at < settings.cooldown_up_s:
        left = settings.cooldown_up_s - (at - memory.grown_at)
        return Settled(
            sizing.running, (HoldReason.COOLDOWN,), f"it grew lately; {left:.0f} s to wait"
        )
    if settings.max_step_up is not None and wanted - sizing.running > settings.max_step_up:
        return Settled(
            sizing.running + settings.max_step_up,
            (HoldReason.STEP_LIMIT,),
            f"at most {settings.max_step_up} more in a cycle",
        )
    return Settled(wanted)


def _shrink(
    sizing: Sizing,
    wanted: int,
    most: float,
    memory: ServerMemory,
    at: float,
    settings: StabilitySettings,
) -> Settled:
    running = sizing.running
    if sizing.partial:
        return Settled(
            running, (HoldReason.PARTIAL_REPORTS,), "its load is told in part: nothing shrinks"
        )
    if in_quiet_hours(at, settings):
        return Settled(running, (HoldReason.QUIET_HOURS,), "nothing shrinks in quiet hours")
    if sizing.young:
        words = "replicas began to serve a moment ago: their part of the rate may not be whole yet"
        return Settled(running, (HoldReason.STABILIZING,), words)
    if not _watched(memory, at, settings):
        since = memory.watched_since
        left = settings.scale_down_window_s - (0.0 if since is None else at - since)
        return Settled(
            running, (HoldReason.STABILIZING,), f"a smaller size must hold for {left:.0f} s more"
        )
    sizes = [each.replicas for each in memory.wanted if each.accelerator == sizing.accelerator]
    largest = max(sizes, default=running)
    if wanted == 0 and _idle_for(sizing, max(settings.zero_after_s, settings.scale_down_window_s)):
        largest = 0  # what forecasts asked for meanwhile was not needed
    target = int(max(wanted, min(largest, running, most)))
    reasons: list[HoldReason] = []
    words = ""
    if target > wanted:
        reasons.append(HoldReason.STABILIZING)
        words = f"{largest} replicas were needed within {settings.scale_down_window_s:g} s"
    careful = int(min(_with_hysteresis(sizing, settings), most))
    if careful > target:
        target = min(careful, running)
        reasons.append(HoldReason.HYSTERESIS)
        words = f"with {settings.hysteresis:.0%} more load it would need {careful} replicas"
    if target == 0 and not _may_be_zero(sizing, settings):
        target = min(1, running)
        reasons.append(HoldReason.STABILIZING)
        words = f"it is not known to have been idle for {settings.zero_after_s:g} s"
        if sizing.zero_allowed and sizing.unseen:
            reasons[-1] = HoldReason.PARTIAL_REPORTS
            words = f"{sizing.unseen}: one stays"
    if target < running:
        if memory.changed_at is not None and at - memory.changed_at < settings.cooldown_down_s:
            left = settings.cooldown_down_s - (at - memory.changed_at)
            return Settled(
                running, (HoldReason.COOLDOWN,), f"it changed lately; {left:.0f} s to wait"
            )
        step = settings.max_step_down
        if step is not None and running - target > step:
            return Settled(
                running - step,
                (*reasons, HoldReason.STEP_LIMIT),
                f"at most {step} fewer in a cycle",
            )
    return Settled(target, tuple(reasons), words)


def _watched(memory: ServerMemory, at: float, settings: StabilitySettings) -> bool:
    """Return whether sizes were asked for without a gap during the whole window."""
    since = memory.watched_since
    return since is not None and at - since >= settings.scale_down_window_s - _SLACK


def _with_hysteresis(sizing: Sizing, settings: StabilitySettings) -> int:
    """Return the replicas for a load that is larger by the hysteresis."""
    if not sizing.rate_of_one_rps or sizing.rate_rps <= 0:
        return sizing.wanted
    loaded = sizing.rate_rps * (1 + settings.hysteresis) / sizing.rate_of_one_rps
    return max(sizing.wanted, math.ceil(loaded - _SLACK))


def _may_be_zero(sizing: Sizing, settings: StabilitySettings) -> bool:
    return sizing.zero_allowed and _idle_for(sizing, settings.zero_after_s)


def _idle_for(sizing: Sizing, seconds: float) -> bool:
    return sizing.idle_s is not None and sizing.idle_s >= seconds


def in_quiet_hours(at: float, settings: StabilitySettings) -> bool:
    """Return whether a moment is within quiet hours."""
    return any(each.covers(at) for each in settings.quiet_hours)


def may_move(
    memory: ServerMemory, at: float, settings: StabilitySettings, rate_rps: float | None = None
) -> Settled | None:
    """Return what forbids a move to another accelerator now; None where nothing does.

    Args:
        memory: What was asked for before.
        at: Now, in seconds since the epoch.
        settings: The rules.
        rate_rps: Rate that a move is sized for now; None where nothing is sized.
    """
    if in_quiet_hours(at, settings):
        return Settled(0, (HoldReason.QUIET_HOURS,), "nothing moves in quiet hours")
    if memory.moved_at is not None and at - memory.moved_at < settings.cooldown_move_s:
        left = settings.cooldown_move_s - (at - memory.moved_at)
        return Settled(0, (HoldReason.COOLDOWN,), f"it moved lately; {left:.0f} s to wait")
    # A move in a dip would be sized for the dip, and give away what carries the load around it.
    largest = max((each.rate_rps for each in memory.wanted), default=0.0)
    within = f"{settings.scale_down_window_s:g} s"
    if not _watched(memory, at, settings) and not _has_work(memory):
        # What was asked for tells of a part of the window alone: the load goes on counting.
        largest = max(largest, memory.history.largest_rate(at, settings.scale_down_window_s))
        within = f"the last {within} that were known"
    if rate_rps is not None and largest > rate_rps * (1 + settings.hysteresis):
        words = f"{largest:.3g} requests/s came within {within}"
        return Settled(0, (HoldReason.STABILIZING,), f"{words}: a move for fewer has to wait")
    return None


def _has_work(memory: ServerMemory) -> bool:
    """Return whether a deadline sizes the server, and not the rate at which requests come."""
    return memory.batch is not None and memory.batch.left_tokens > 0


def remembered(
    memory: ServerMemory, before: int, after: int, at: float, *, moved: bool = False
) -> ServerMemory:
    """Return the memory after a server went from one size to another."""
    if before == after and not moved:
        return memory
    return replace(
        memory,
        changed_at=at,
        grown_at=at if after > before else memory.grown_at,
        moved_at=at if moved else memory.moved_at,
    )
