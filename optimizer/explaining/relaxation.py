"""Prices of cards in the linear relaxation, for fleets too large to be planned again for each.

In the relaxation servers may be split between candidates and served in part, so its prices are
estimates, and smooth where the exact ones jump: a card that completes no replica has a price here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, vstack

from optimizer.configurations.shared_cards import with_shared_cards
from optimizer.explaining.situation import Situation
from optimizer.formulation import ExtraRow, single_model
from optimizer.milp_session import priority_groups
from optimizer.table import FloatArray, IntArray
from stoker.domain.explanation import ShadowPrice
from stoker.domain.plan import Plan
from stoker.domain.plan_change import Evidence, PlanChange

LABEL = (
    "prices of cards are those of the linear relaxation, in which servers may be split: estimates, "
    "not plans"
)
NO_PRICES = (
    "prices of the linear relaxation are known for one accelerator a server and cards by type as "
    "the only limit: none are told here"
)


def can_relax(situation: Situation) -> bool:
    """Whether the relaxation is that of the plan's own model."""
    problem = situation.problem
    limited = problem.fleet.is_plain and not problem.settings.unlimited
    limited = limited and not problem.fleet.sharing and not situation.sliced
    return limited and problem.proves and not problem.mixes


def relaxed_prices(situation: Situation, plan: Plan) -> Iterator[ShadowPrice]:
    """Yield the price of a card of each type: the dual value of its row in the relaxation.

    The relaxation minimizes value, with at least as many servers of each priority served as the
    plan serves. Nothing where it cannot be solved.
    """
    base, free = situation.base, situation.free
    assert free is not None  # cards without end have no price
    prices = card_duals(situation, free + base.cards)
    if prices is None:
        return
    types = list(situation.table.card_types)
    for item in plan.usage:
        if item.available is None or item.card_type not in types:
            continue
        price = float(prices[types.index(item.card_type)])
        change = PlanChange(
            evidence=Evidence.RELAXED,
            value_change=price,
            cost_change=float("nan"),
            below=None,
            above=None,
        )
        yield ShadowPrice("cards", item.card_type, 1.0, item.used, item.available, change)


def card_duals(situation: Situation, capacity: IntArray) -> FloatArray | None:
    """Return what one more card of each type takes off the value, at most 0, shape (types,)."""
    table = situation.table
    form = with_shared_cards(single_model(table, capacity), table, capacity)
    served = np.array([own.served for own in situation.base.own], dtype=np.bool_)
    rows = tuple(
        ExtraRow(
            group.columns,
            np.ones(group.columns.size),
            float(np.count_nonzero(served & group.members)),
            np.inf,
        )
        for group in priority_groups(table, form)
        if group.columns.size
    )
    if form.upper.size == 0:
        return np.zeros(len(table.card_types))
    model = form.model(form.value, rows)
    matrix = csr_array(
        (model.entry_value, (model.entry_row, model.entry_column)),
        shape=(model.row_lower.size, model.cost.size),
    )
    above, below = np.isfinite(model.row_upper), np.isfinite(model.row_lower)
    upper_rows = np.flatnonzero(above)
    found = linprog(
        model.cost,
        A_ub=_stacked(matrix[upper_rows], -matrix[np.flatnonzero(below)]),
        b_ub=np.concatenate([model.row_upper[above], -model.row_lower[below]]),
        bounds=np.column_stack([model.lower, model.upper]),
        method="highs",
    )
    if found.status != 0:
        return None
    # Rows of cards follow those of servers, one a type.
    of_cards = form.serve_row.size + np.arange(capacity.size)
    marginals: FloatArray = np.zeros(model.row_upper.size)
    marginals[upper_rows] = found.ineqlin.marginals[: upper_rows.size]
    duals: FloatArray = np.minimum(marginals[of_cards], 0.0)
    return duals


def _stacked(upper: csr_array, lower: csr_array) -> csr_array:
    return csr_array(vstack([upper, lower]))
