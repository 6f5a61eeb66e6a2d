"""What is simulated: requests, replicas, and how one finds the other."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.arrivals import Arrivals
from simulator.engine import Engine
from simulator.lengths import TokenLengths
from stoker.domain.routing import Router


@dataclass(frozen=True, slots=True)
class Pool:
    """Replicas of one engine behind a router.

    Attributes:
        engine: The engine of each.
        replicas: How many there are; with a schedule, at most.
        router: How a request finds one.
        schedule: When the number of those that take requests changes: time in ms from the start
            and number, the times ascending; from the first one on, and before it as many as then.
            Empty where it never does. Requests go to the first so many; a replica that takes none
            any more finishes what it has.
    """

    engine: Engine
    replicas: int = 1
    router: Router = Router.RANDOM
    schedule: tuple[tuple[float, int], ...] = ()

    def __post_init__(self) -> None:
        """Check the numbers of replicas.

        Raises:
            ValueError: Fewer than one, more in the schedule, or times that do not ascend.
        """
        if self.replicas < 1:
            raise ValueError(f"replicas is {self.replicas} (allowed: 1 or more)")
        times = [time for time, _ in self.schedule]
        if any(not 1 <= count <= self.replicas for _, count in self.schedule):
            raise ValueError(f"schedule: from 1 to {self.replicas} replicas may take requests")
        if times != sorted(set(times)):
            raise ValueError("schedule: times must ascend")


@dataclass(frozen=True, slots=True)
class Disaggregated:
    """Prefill on one pool, decode on another, the KV carried over between them.

    The first output token leaves the prefill pool. The decode pool turns nobody away: its queue
    limit is not used.

    Attributes:
        prefill: The pool that computes prompts.
        decode: The pool that computes all further tokens.
        transfer_ms: Time of a transfer, whatever its size.
        transfer_ms_per_token: Further time for each input token.
    """

    prefill: Pool
    decode: Pool
    transfer_ms: float = 0.0
    transfer_ms_per_token: float = 0.0

    def __post_init__(self) -> None:
        """Check that the pools stay as they are.

        Raises:
            ValueError: A pool has a schedule.
        """
        if self.prefill.schedule or self.decode.schedule:
            raise ValueError("schedule: only replicas that do both may come and go")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A simulation, fully told.

    Attributes:
        arrivals: When requests arrive.
        lengths: Their tokens.
        system: The replicas.
        requests: Number of requests, those of the warm-up included.
        seed: Seed of all random draws. Arrivals, lengths, thinking and routing draw from streams
            of their own: scenarios that differ in one of them share the others.
        prefix_hit_rate: Share of each prompt whose KV is there already: not computed, yet read,
            and held in memory. At least one token of a prompt is computed.
    """

    arrivals: Arrivals
    lengths: TokenLengths
    system: Pool | Disaggregated
    requests: int
    seed: int = 0
    prefix_hit_rate: float = 0.0

    def __post_init__(self) -> None:
        """Check numbers.

        Raises:
            ValueError: No request, a negative seed, or a hit rate outside 0 to 1.
        """
        if self.requests < 1:
            raise ValueError(f"requests is {self.requests} (allowed: 1 or more)")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed} (allowed: 0 or more)")
        if not 0 <= self.prefix_hit_rate <= 1:
            raise ValueError(f"prefix_hit_rate is {self.prefix_hit_rate} (allowed: 0 to 1)")
