"""How the loop is put together, where that decides what it may do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from controller.ports import Lock
from stoker.cli.control_wiring import WhileActing
from stoker.domain.control.settings import Mode


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
    candidate, mode = Candidate(), [Mode.OBSERVE]
    with WhileActing(candidate.elected, lambda: mode[0]) as lock:
        assert lock.holds()
        assert candidate.parts == 0  # who observes keeps nobody from acting
        for acting in (Mode.ACT, Mode.ADVISE):
            mode[0] = acting
            candidate.leads = False
            assert not lock.holds()
            assert lock.problem == "no answer"
            assert candidate.parts == 1
            candidate.leads = True
            assert lock.holds()
            assert candidate.parts == 1
            mode[0] = Mode.OBSERVE
            assert lock.holds()
            assert candidate.parts == 0
        mode[0] = Mode.ACT
        assert lock.holds()
        assert candidate.parts == 1
    assert candidate.parts == 0


def test_a_loop_that_may_act_takes_part_from_the_start() -> None:
    candidate = Candidate()
    with WhileActing(candidate.elected, lambda: Mode.ACT):
        assert candidate.parts == 1
