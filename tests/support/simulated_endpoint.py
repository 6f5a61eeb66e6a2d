"""A server whose operating points the simulator measures, in no time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from profiler.endpoint import Deployment, OperatingPoint, RunFailedError, Server
from simulator.iteration import IterationModel
from stoker.domain.measurement import LoadKind, Measurement
from tests.support.simulated_rows import Run, measure

SERVER = Server("http://127.0.0.1:1", "simulated", 8192, 1.0, 0.01)
DEPLOYMENT = Deployment("simulated", "none", 1, max_batch=256)


@dataclass
class SimulatedRuns:
    """Measures points by simulation; seconds pass on a clock of its own.

    Attributes:
        model: The service-time model that is played.
        requests: Requests of a point.
        fails: Names of points whose runs fail.
        now_s: The time.
        asked: The points of each run, with its length.
    """

    model: IterationModel
    requests: int = 600
    fails: frozenset[str] = frozenset()
    now_s: float = 0.0
    asked: list[tuple[list[OperatingPoint], float]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now_s

    def measure(
        self, points: Sequence[OperatingPoint], seconds: float, turn: int
    ) -> list[Measurement]:
        self.asked.append((list(points), seconds))
        self.now_s += len(points) * seconds
        if any(point.name in self.fails for point in points):
            raise RunFailedError("on request")
        runs = [
            Run(
                point.in_tokens,
                point.out_tokens,
                point.load,
                point.kind is not LoadKind.RATE,
                arrival_cv=0.0,
            )
            for point in points
        ]
        rows = measure(self.model, runs, self.requests)
        return [replace(row, name=point.name) for row, point in zip(rows, points, strict=True)]
