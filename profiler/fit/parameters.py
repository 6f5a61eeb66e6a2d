"""What is known of a parameter before anything is measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from queueing.arrays import FloatArray
from queueing.engine.times import IterationTimes

NOWHERE = math.inf


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a model, fitted as its logarithm: positive, and errors are relative.

    Attributes:
        name: as in profiles.
        low: least value that makes sense.
        high: greatest value that makes sense.
        usual: what engines show where the rows do not tell; None where only rows can.
        spread: how far `usual` may be off: standard deviation of the logarithm.
        relative_to: parameter that `usual` is a multiple of; empty for an absolute one.
        remedy: operating points that would identify it; empty where the usual value may do.
    """

    name: str
    low: float
    high: float
    usual: float | None = None
    spread: float = NOWHERE
    relative_to: str = ""
    remedy: str = ""


Build = Callable[[dict[str, FloatArray]], IterationTimes]
"""Takes arrays (cases,) by parameter name; returns the service-time model."""


@dataclass(frozen=True, slots=True)
class Family:
    """A service-time model that can be fitted.

    Attributes:
        name: as on the command line.
        parameters: what is fitted, in the order of profiles.
        build: makes the model of parameters.
        delays: whether it knows delays of the first token outside the engine.
        corrections: factors that a table's times may be off its parametric base, fitted after the
            rest; empty where parameters are all there is.
    """

    name: str
    parameters: tuple[Parameter, ...]
    build: Build
    delays: bool
    corrections: tuple[Parameter, ...] = ()


CONDITIONS = (
    Parameter("wave_share", 1e-4, 1.0, 0.1, 0.7),
    Parameter("turnover_share", 1e-7, 1.0, 2e-5, 3.0),
    Parameter("kv_tokens", 1e3, 1e9),
    Parameter("miss_share", 1e-3, 1.0, 0.3, 1.5),
)
"""What the runs, rather than the model, did: how closed loops send, and how much memory there was.

A load generator that sends ten requests for each client sends a tenth of them at once. Where
prefixes are cached, runs rarely say how much of their prompts was.
"""
