"""Discrete-event simulation of continuous batching: replicas, routers, disaggregated pools.

It plays the engine iteration by iteration, as `docs/simulator.md` describes it, and is the
independent check of the analysis in `queueing`: it shares no formula with it beyond the time of
one iteration. The same scenario and seed give the same result, bit for bit.

This package must never import `queueing`'s chain or sizing, read a file, write a log or draw. It
needs numpy, and numba to be fast.
"""

from simulator.arrivals import (
    Arrivals,
    ClosedLoop,
    GammaArrivals,
    PoissonArrivals,
    TraceArrivals,
)
from simulator.engine import Engine
from simulator.iteration import IterationModel, IterationTable, tabulate
from simulator.lengths import (
    FixedLength,
    JointLengths,
    Length,
    LognormalLength,
    SeparateLengths,
    TokenLengths,
    UniformLength,
)
from simulator.records import Records, RequestStatus, Series
from simulator.run import Run, simulate
from simulator.scenario import Disaggregated, Pool, Scenario
from simulator.statistics import Estimate, LatencySummary
from simulator.summary import Summary, summarize
from stoker.domain.routing import Router

__all__ = [
    "Arrivals",
    "ClosedLoop",
    "Disaggregated",
    "Engine",
    "Estimate",
    "FixedLength",
    "GammaArrivals",
    "IterationModel",
    "IterationTable",
    "JointLengths",
    "LatencySummary",
    "Length",
    "LognormalLength",
    "PoissonArrivals",
    "Pool",
    "Records",
    "RequestStatus",
    "Router",
    "Run",
    "Scenario",
    "SeparateLengths",
    "Series",
    "Summary",
    "TokenLengths",
    "TraceArrivals",
    "UniformLength",
    "simulate",
    "summarize",
    "tabulate",
]
