"""What faults have in common: how the loop tells of them."""

from __future__ import annotations

from collections.abc import Callable

from demos.cluster.processes import ServerProcess
from tests.support.broken_fleet import CHAT
from tests.support.fault_campaign import Record, held


def held_metric(reason: str) -> str:
    """The metric of what holds the suffering server."""
    return f'stoker_server_held{{reason="{reason}",server="{CHAT}"}}'


def problem_metric(kind: str) -> str:
    """The metric of problems of a kind."""
    return f'stoker_problems_by_kind{{kind="{kind}"}}'


def holds(reason: str) -> Callable[[Record], bool]:
    """Whether something holds the suffering server in a cycle."""
    return lambda record: reason in held(record)


def problem(words: str) -> Callable[[Record], bool]:
    """Whether a cycle tells of a problem in these words."""
    return lambda record: any(words in each for each in record["problems"])


def server(process: ServerProcess | None) -> ServerProcess:
    """A process of the world that runs."""
    assert process is not None
    return process
