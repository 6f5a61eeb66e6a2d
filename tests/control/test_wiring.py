"""How the loop is put together, where that decides what it may do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from controller.ports import Lock
from stoker.cli.control_wiring import WhileActing


class Candidate:
    """Takes part in an election whose outcome the test decides."""

    def __init__(self) -> None:
        self.parts = 0
        self.leads = False
        self.problem = "no answer"

    def holds(self) -> bool:
        return self.leads

    @contextlib.contextmanager
    def elected(self) -> Iterator[Lock]:
        self.parts += 1
        yield self
        self.parts -= 1


def test_a_loop_whose_mode_changes_to_act_is_elected_first() -> None:
    candidate, writes = Candidate(), [False]
    with WhileActing(candidate.elected, lambda: writes[0]) as lock:
        assert lock.holds()
        assert candidate.parts == 0  # who observes keeps nobody from acting
        for _ in range(2):
            writes[0] = True
            candidate.leads = False
            assert not lock.holds()
            assert lock.problem == "no answer"
            assert candidate.parts == 1
            candidate.leads = True
            assert lock.holds()
            assert candidate.parts == 1
            writes[0] = False
            assert lock.holds()
            assert candidate.parts == 0
        writes[0] = True
        assert lock.holds()
        assert candidate.parts == 1
    assert candidate.parts == 0


def test_a_loop_that_may_act_takes_part_from_the_start() -> None:
    candidate = Candidate()
    with WhileActing(candidate.elected, lambda: True):
        assert candidate.parts == 1


def test_a_loop_that_steps_down_takes_part_again_when_it_is_asked() -> None:
    candidate = Candidate()
    candidate.leads = True
    with WhileActing(candidate.elected, lambda: True) as lock:
        assert lock.holds()
        lock.step_down()
        assert candidate.parts == 0
        assert lock.problem == ""
        assert lock.holds()
        assert candidate.parts == 1
    assert candidate.parts == 0
