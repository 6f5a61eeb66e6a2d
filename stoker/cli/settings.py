"""Flags of `stoker solve` over the fleet's own optimizer settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from stoker.domain.settings import (
    DEFAULT_ANALYSIS,
    Analysis,
    OptimizerSettings,
    SaturationPolicy,
    SolverKind,
)


@dataclass(frozen=True, slots=True)
class SolveFlags:
    """What the command line says about planning; None where it says nothing.

    Attributes are those of `stoker.domain.settings.OptimizerSettings`.
    """

    unlimited: bool | None = None
    solver: SolverKind | None = None
    heterogeneous: bool | None = None
    saturation_policy: SaturationPolicy | None = None
    delayed_best_effort: bool | None = None
    backend: str | None = None
    time_limit_s: float | None = None
    relative_gap: float | None = None
    analysis: Analysis | None = None
    placement: bool | None = None


def chosen_settings(flags: SolveFlags, own: OptimizerSettings) -> OptimizerSettings:
    """Return the fleet's own settings with the flags that were given in their place.

    With neither, the solver is MILP and the analysis that of the engine.
    """
    given = {
        field.name: getattr(flags, field.name)
        for field in fields(SolveFlags)
        if getattr(flags, field.name) is not None
    }
    settings = replace(own, **given)
    return replace(
        settings,
        solver=settings.solver or SolverKind.MILP,
        analysis=settings.analysis or DEFAULT_ANALYSIS,
    )


def may_mix(settings: OptimizerSettings) -> bool:
    """Whether a plan may give a server several accelerators."""
    greedy = settings.solver is SolverKind.GREEDY
    return settings.heterogeneous and not settings.unlimited and not greedy


def solving_words(settings: OptimizerSettings) -> str:
    """Return what takes the time of a long solve, and when it ends."""
    from optimizer.milp import DEFAULT_TIME_LIMIT_S

    if settings.unlimited or settings.solver is SolverKind.GREEDY:
        return "predicting every accelerator for every server"
    asked = settings.time_limit_s
    limit_s = DEFAULT_TIME_LIMIT_S if asked is None else asked
    return f"the MILP is proving its plan; it ends after {limit_s:g} s at most (--time-limit)"


def idle_flags(flags: SolveFlags, settings: OptimizerSettings) -> Iterator[str]:
    """Yield a remark on each flag that was given and changes nothing."""
    if settings.unlimited:
        source = "--unlimited" if flags.unlimited else "the fleet's own setting `unlimited`"
        advice = "" if flags.unlimited else " (add --no-unlimited)"
        for option, value in _limited_only(flags):
            if value:
                yield f"{option} has no effect with {source}{advice}"
    elif settings.solver is SolverKind.GREEDY:
        source = "--solver greedy" if flags.solver else "the fleet's own solver, greedy"
        advice = "" if flags.solver else " (add --solver milp)"
        for option, value in _milp_only(flags):
            if value:
                yield f"{option} has no effect with {source}{advice}"


def _milp_only(flags: SolveFlags) -> Iterator[tuple[str, object]]:
    yield "--heterogeneous", flags.heterogeneous
    yield "--backend", flags.backend
    yield "--gap", flags.relative_gap is not None
    yield "--time-limit", flags.time_limit_s


def _limited_only(flags: SolveFlags) -> Iterator[tuple[str, object]]:
    yield "--solver", flags.solver
    yield "--saturation-policy", flags.saturation_policy
    yield "--delayed-best-effort", flags.delayed_best_effort
    yield from _milp_only(flags)
