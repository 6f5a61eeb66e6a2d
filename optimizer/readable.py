"""The plan of whole cards as one reads it: PuLP's words, a name for every decision and every rule.

The model that is solved is made of arrays (`optimizer.formulation`), which thousands of servers
need. This one says the same in sentences, for whoever wants to check what is asked of a solver, or
to hand it to another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulp

from optimizer.formulation import fitting_rows, undominated_rows
from optimizer.table import CandidateTable, IntArray

_LONGEST = 40
"""Letters of a server or type in a name: PuLP writes up to 100 in the LP format, numbers included.
"""
_LONGEST_ACCELERATOR = 24
"""Letters of an accelerator, beside those of a server."""


def readable_model(
    table: CandidateTable, capacity: IntArray, served: Mapping[int, int] | None = None
) -> Any:
    """Return the model of one candidate a server, its value minimized, as a problem of PuLP.

    Args:
        table: Candidates, on whole cards.
        capacity: Cards available by type, shape (types,).
        served: How many servers of each priority have to be served, as the solves before this one
            tell; None for every server that has a candidate.
    """
    problem = pulp.LpProblem("plan", pulp.LpMinimize)
    take = {
        row: problem.add_variable(f"take_{_told(table, row)}", 0, 1, "Integer")
        for row in undominated_rows(table, fitting_rows(table, capacity)).tolist()
    }
    problem += pulp.lpSum(table.value[row] * taken for row, taken in take.items()), "value"
    for server, name in enumerate(table.servers):
        own = [taken for row, taken in take.items() if table.server[row] == server]
        if own and served is None:
            problem += pulp.lpSum(own) == 1, f"serve_{_plain(name)}_{server}"
        elif own:
            problem += pulp.lpSum(own) <= 1, f"serve_{_plain(name)}_{server}_at_most_once"
    for priority, count in sorted((served or {}).items()):
        members = [t for row, t in take.items() if table.priority[table.server[row]] == priority]
        if members:
            problem += pulp.lpSum(members) == count, f"servers_of_priority_{priority}"
    for kind, name in enumerate(table.card_types):
        cards = [
            int(table.cards[row]) * taken
            for row, taken in take.items()
            if table.card_type[row] == kind and table.cards[row] > 0
        ]
        if cards:
            problem += pulp.lpSum(cards) <= int(capacity[kind]), f"cards_{_plain(name)}_{kind}"
    return problem


def write_model(problem: Any, path: Path) -> None:
    """Write a model to a file: in the MPS format where its name ends so, else in the LP format.

    Raises:
        OSError: The file cannot be written.
    """
    if path.suffix.lower() == ".mps":
        problem.writeMPS(str(path))
    else:
        problem.writeLP(str(path))


def _told(table: CandidateTable, row: int) -> str:
    """Return the name of a candidate: its server, replicas, accelerator and row in the table."""
    accelerator = table.accelerator[row]
    on = "nothing"
    if accelerator >= 0:
        on = _plain(table.accelerators[accelerator], _LONGEST_ACCELERATOR)
    server = _plain(table.servers[table.server[row]])
    return f"{server}_on_{table.replicas[row]}_{on}_{row}"


def _plain(name: str, most: int = _LONGEST) -> str:
    """Return a name in letters that files of models allow, and no more than there is room for.

    Whoever uses it adds a number, so that names that begin alike stay apart.
    """
    return re.sub(r"[^A-Za-z0-9]+", "_", name)[:most]
