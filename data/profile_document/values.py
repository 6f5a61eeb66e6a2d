"""What a profile document holds, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.domain.curve import IterationTable
from stoker.domain.measurement import Measurement
from stoker.domain.profile import ModelProfile
from stoker.domain.timing import (
    CaseTiming,
    IterationKind,
    TimedDevice,
    TimedMemory,
    TimedModel,
    TimingRun,
)

Interval = tuple[float, float]
"""Ends of a 95% interval."""

Grid = tuple[tuple[float, ...], ...]
"""Figures over two axes of knots."""


@dataclass(frozen=True, slots=True)
class FitIntervals:
    """Ends of the 95% intervals of the times in a table, each of the shape of its grid.

    Attributes:
        decode_ms: Low and high ends of the decode times.
        prefill_ms: The same of the prefill times.
    """

    decode_ms: tuple[Grid, Grid]
    prefill_ms: tuple[Grid, Grid]


@dataclass(frozen=True, slots=True)
class ProfileFit:
    """A service-time model fitted to measurements, or the reason why it could not be.

    Attributes:
        model: Name of the service-time model (`token-work`, `linear`, `overlap`, `curve`).
        profile: Index, among the profiles of the document, of the one with these parameters; None
            where no profile has them.
        parameters: By name, in the units of their names; of a curve what is not in its table.
        confidence: 95% interval of each parameter that has one.
        condition_number: Of the scaled problem; the larger, the less the points tell the
            parameters apart. None where unknown.
        points: Measurements (rows or timed iterations) that took part.
        errors: Mean of |predicted - measured| / measured over those, by figure: `ttft` and `itl`
            of rows, `prefill`, `decode` and `mixed` of timed iterations.
        left_out_errors: The same over measurements left out of the fits that predicted them.
        deployment: What was measured: model, accelerator, precision, engine, as far as known.
        table: Times of a `curve`.
        intervals: Their confidence.
        refusal: Why there is no fit; empty where there is one.
        untold: Parameters that the measurements do not tell.
        measure: What to measure to tell them.
    """

    model: str
    profile: int | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    confidence: Mapping[str, Interval] = field(default_factory=dict)
    condition_number: float | None = None
    points: int = 0
    errors: Mapping[str, float] = field(default_factory=dict)
    left_out_errors: Mapping[str, float] = field(default_factory=dict)
    deployment: Mapping[str, str | int] = field(default_factory=dict)
    table: IterationTable | None = None
    intervals: FitIntervals | None = None
    refusal: str = ""
    untold: tuple[str, ...] = ()
    measure: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TimedOn:
    """Where, when and with what iterations were timed: a timing run without its timings.

    Attributes:
        model: What was timed, and how it ran.
        device: On what.
        memory: What it takes.
        code: Hash of the code that measured.
        started_at: When it began, as ISO 8601 text in UTC.
        seed: Seed of the order of cases and of the weights.
    """

    model: TimedModel
    device: TimedDevice
    memory: TimedMemory
    code: str
    started_at: str
    seed: int

    @classmethod
    def of(cls, run: TimingRun) -> TimedOn:
        """Return what a run says beside its timings."""
        return cls(run.model, run.device, run.memory, run.code, run.started_at, run.seed)


@dataclass(frozen=True, slots=True)
class TimedCurve:
    """Times along one axis, with all else the same: what a picture draws as one line.

    Attributes:
        kind: What the iterations compute.
        over: What varies along the line: `decode_batch` or `prefill_tokens`.
        context_tokens: Tokens in the KV cache of each decoding sequence; None of prefills.
        prefix_tokens: Tokens of the prompt in the KV cache already; None of decodes.
        at: Where on that axis, ascending.
        median_ms: Median time of an iteration there.
        spread_ms: Interquartile range there; None where unknown.
        tokens_per_s: Tokens made (decode) or computed (prefill) per second there.
    """

    kind: IterationKind
    over: str
    at: tuple[int, ...]
    median_ms: tuple[float, ...]
    spread_ms: tuple[float | None, ...]
    tokens_per_s: tuple[float, ...]
    context_tokens: int | None = None
    prefix_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ProfileDocument:
    """A document of profiles.

    Attributes:
        profiles: Profiles to plan with.
        fits: The fits behind them, and those of other models.
        measured_on: What timed the iterations; None where none were timed.
        timings: Every case that was tried, those that failed included.
        curves: Times along the axes of the cases.
        rows: Measured operating points behind the fits.
        name: Name of the document; empty for none.
        notes: What a reader should know.
    """

    profiles: tuple[ModelProfile, ...]
    fits: tuple[ProfileFit, ...] = ()
    measured_on: TimedOn | None = None
    timings: tuple[CaseTiming, ...] = ()
    curves: tuple[TimedCurve, ...] = ()
    rows: tuple[Measurement, ...] = ()
    name: str = ""
    notes: tuple[str, ...] = ()

    @property
    def run(self) -> TimingRun | None:
        """The timing run that the document holds; None where it holds none."""
        on = self.measured_on
        if on is None:
            return None
        return TimingRun(
            on.model, on.device, on.memory, self.timings, on.code, on.started_at, on.seed
        )

    def fit_of(self, index: int) -> ProfileFit | None:
        """Return the fit with the parameters of that profile; None where there is none."""
        return next((fit for fit in self.fits if fit.profile == index), None)
