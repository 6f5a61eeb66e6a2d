import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.cli.exits import ExitCode, exit_code
from stoker.cli.settings import SolveFlags, chosen_settings, idle_flags, solving_words
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.plan import PlanStatus
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import (
    DEFAULT_ANALYSIS,
    Analysis,
    OptimizerSettings,
    SaturationPolicy,
    SolverKind,
)
from tests.support.plans import mixed_plan


def test_without_flags_and_settings_the_solver_is_milp() -> None:
    settings = chosen_settings(SolveFlags(), OptimizerSettings())
    assert settings.solver is SolverKind.MILP
    assert settings.analysis is DEFAULT_ANALYSIS


def test_the_document_decides_what_no_flag_says() -> None:
    own = OptimizerSettings(
        unlimited=True,
        solver=SolverKind.GREEDY,
        heterogeneous=True,
        saturation_policy=SaturationPolicy.ROUND_ROBIN,
        delayed_best_effort=True,
        backend="cbc",
        time_limit_s=3.0,
        relative_gap=0.5,
        analysis=Analysis.REFERENCE,
    )
    assert chosen_settings(SolveFlags(), own) == own


def test_flags_win_also_where_they_say_no() -> None:
    own = OptimizerSettings(unlimited=True, heterogeneous=True, solver=SolverKind.GREEDY)
    flags = SolveFlags(unlimited=False, heterogeneous=False, solver=SolverKind.MILP)
    settings = chosen_settings(flags, own)
    assert (settings.unlimited, settings.heterogeneous) == (False, False)
    assert settings.solver is SolverKind.MILP


@pytest.mark.parametrize(
    ("flags", "own", "remarks"),
    [
        (SolveFlags(solver=SolverKind.MILP), OptimizerSettings(), []),
        (
            SolveFlags(unlimited=True, solver=SolverKind.MILP),
            OptimizerSettings(),
            ["--solver has no effect with --unlimited"],
        ),
        (
            SolveFlags(solver=SolverKind.MILP),
            OptimizerSettings(unlimited=True),
            [
                "--solver has no effect with the fleet's own setting `unlimited` "
                "(add --no-unlimited)"
            ],
        ),
        (
            SolveFlags(heterogeneous=True, relative_gap=0.0),
            OptimizerSettings(solver=SolverKind.GREEDY),
            [
                "--heterogeneous has no effect with the fleet's own solver, greedy "
                "(add --solver milp)",
                "--gap has no effect with the fleet's own solver, greedy (add --solver milp)",
            ],
        ),
    ],
)
def test_flags_that_change_nothing_are_remarked(
    flags: SolveFlags, own: OptimizerSettings, remarks: list[str]
) -> None:
    assert list(idle_flags(flags, chosen_settings(flags, own))) == remarks


def test_the_words_for_a_long_solve_say_when_it_ends() -> None:
    assert "after 120 s at most" in solving_words(OptimizerSettings(solver=SolverKind.MILP))
    limited = OptimizerSettings(solver=SolverKind.MILP, time_limit_s=7)
    assert "after 7 s at most" in solving_words(limited)
    for settings in (
        OptimizerSettings(solver=SolverKind.GREEDY),
        OptimizerSettings(unlimited=True),
    ):
        assert "MILP" not in solving_words(settings)


def fleet_of(*counts: int) -> Fleet:
    capacity = tuple(Capacity(f"T{i}", count) for i, count in enumerate(counts))
    return Fleet("USD", (), capacity, (), (), ())


def scaled(factor: float, *counts: int) -> list[int]:
    return [capacity.count for capacity in scale_capacity(fleet_of(*counts), factor).capacity]


def test_scaled_counts_are_rounded_down_in_decimal() -> None:
    assert scaled(0.1, 256, 192, 1024) == [25, 19, 102]
    assert scaled(0.7, 10, 100) == [7, 70]
    assert scaled(0, 5) == [0]
    assert scaled(2.5, 3) == [7]


@given(st.integers(0, 10**9), st.floats(0, 1e3, allow_nan=False))
def test_scaled_counts_never_exceed_the_product(count: int, factor: float) -> None:
    (result,) = scaled(factor, count)
    assert result <= count * factor * (1 + 1e-12) < result + 1 + count * factor * 1e-11 + 1e-9
    assert result == math.floor(result)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": PlanStatus.OPTIMAL, "unplaced": ()}, ExitCode.DONE),
        ({"status": PlanStatus.FEASIBLE, "unplaced": ()}, ExitCode.DONE),
        ({"status": PlanStatus.OPTIMAL}, ExitCode.NOT_SERVED),
        ({"status": PlanStatus.INFEASIBLE, "unplaced": ()}, ExitCode.NOT_SERVED),
        ({"status": PlanStatus.TIME_LIMIT}, ExitCode.TIME_LIMIT),
    ],
)
def test_exit_codes_of_plans(changes: dict[str, object], code: ExitCode) -> None:
    assert exit_code(mixed_plan(**changes)) is code


def test_exit_codes_are_those_documented() -> None:
    assert [int(code) for code in ExitCode] == [0, 2, 3, 4, 5, 6]
