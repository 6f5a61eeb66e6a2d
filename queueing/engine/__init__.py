"""Analysis `full`: a replica as its engine is, iteration by iteration.

Requests wait, join the running batch at iteration boundaries, share iterations with the prompts
of others, and stream their tokens at iteration ends. Means and percentiles of TTFT, ITL and E2E
for any lengths, arrivals, token budget and KV capacity, for all cases in one call.
"""

from queueing.engine.cases import EngineCases
from queueing.engine.open import analyze_engine
from queueing.engine.point import PERCENTILES, EnginePoint, Latency
from queueing.engine.sizing import EngineSizing, size_engine
from queueing.engine.targets import EngineTargets, LatencyTarget
from queueing.engine.times import IterationTimes, LinearTimes, TokenWorkTimes

__all__ = [
    "PERCENTILES",
    "EngineCases",
    "EnginePoint",
    "EngineSizing",
    "EngineTargets",
    "IterationTimes",
    "Latency",
    "LatencyTarget",
    "LinearTimes",
    "TokenWorkTimes",
    "analyze_engine",
    "size_engine",
]
