"""What the correction of profiles does when engines get slower by 30% and fast again.

`python -m benchmarks.bench_drift` plays the control loop over engines that the simulator plays: 40
minutes as their measured profile says, 40 minutes slower, 40 minutes as before, in cycles of 30 s.
It prints, for load that varies and load that never changes, with the correction and without, how
long the loop took to plan with factors within 5% of the truth, from which to which factor it
planned, the share of the cycles in which the mean latencies kept their targets, and the replicas.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from stoker.domain.control.settings import CorrectionSettings
from tests.support.drifting import PERIOD_S, Drift, constant, drift_world, played, varying

PART_S = 2400.0
SLOWER = 1.3
WITHIN = 0.05
CYCLES = round(3 * PART_S / PERIOD_S)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a run: its figures.

    Attributes:
        found_s: Seconds until the factors planned with were right; None where they never were.
        largest: Largest factor that was planned with.
        smallest: Smallest factor that was planned with.
        kept: Share of the cycles that kept the targets.
        replicas: Mean number of replicas.
    """

    found_s: float | None
    largest: float
    smallest: float
    kept: float
    replicas: float


def slowness(seconds: float) -> float:
    """As the profile says at first, slower then, and as before."""
    return SLOWER if PART_S <= seconds < 2 * PART_S else 1.0


def part_of(drift: Drift, part: int) -> Part:
    """Return the figures of a part, from 0."""
    count = round(PART_S / PERIOD_S)
    rows = slice(part * count, (part + 1) * count)
    truth = drift.slowness[rows][0]
    decode, prefill = drift.decode[rows], drift.prefill[rows]
    right = [
        max(abs(each / truth - 1.0) for each in pair) <= WITHIN
        for pair in zip(decode, prefill, strict=True)
    ]
    worst = drift.worst[rows]
    return Part(
        right.index(True) * PERIOD_S if any(right) else None,
        max(*decode, *prefill),
        min(*decode, *prefill),
        sum(each <= 1.0 for each in worst) / len(worst),
        statistics.fmean(drift.replicas[rows]),
    )


def main() -> None:
    """Print the table."""
    print(
        f"{'load':9} {'correction':10} {'engines':8} {'right after':>11} "
        f"{'factors':>13} {'kept':>6} {'replicas':>8}"
    )
    for law in (varying, constant):
        for enabled in (True, False):
            world = drift_world(slowness, law, CorrectionSettings(enabled=enabled))
            drift = played(world, slowness, CYCLES)
            for part, name in enumerate(("as told", "slower", "back")):
                found = part_of(drift, part)
                after = "never" if found.found_s is None else f"{found.found_s:.0f} s"
                factors = f"{found.smallest:.2f} to {found.largest:.2f}"
                print(
                    f"{law.__name__:9} {'on' if enabled else 'off':10} {name:8} {after:>11} "
                    f"{factors:>13} {found.kept:6.1%} {found.replicas:8.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
