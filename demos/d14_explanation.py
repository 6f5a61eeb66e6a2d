"""Why a plan is as it is, and what changed: the small fleet with all its cards, and with 60%.

With fewer cards some servers no longer have the accelerator that is cheapest for them alone. Of
every server is told what it would have without the one that it has, and what that would cost, for
itself and for the plan; then what one more card is worth, and what changed from the plan with all
cards.
"""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from data.fleets import read_fleet
from demos.measures import served_words
from demos.report import Report, numbers_table, publish, run
from optimizer.explaining.difference import compare_plans
from optimizer.explaining.explain import ExplainOptions, explain_plan
from optimizer.explaining.plan_words import signed
from optimizer.planner import plan_fleet
from stoker.cli.difference_report import allocation_words, cause_words
from stoker.cli.explanation_words import change_words, own_words
from stoker.cli.figures import money
from stoker.cli.plots.explanation import alternatives_figure
from stoker.domain.explanation import AllocationExplanation, ChoiceLimit, Explanation, ShadowPrice
from stoker.domain.plan import Plan
from stoker.domain.plan_change import PlanChange
from stoker.domain.plan_difference import PlanDifference
from stoker.domain.scaling import scale_capacity

SHARE = 0.6
"""Cards that are left."""


def main(output: Path, format: str = "table") -> dict[str, object]:
    """Run the demonstration; see the package for the arguments."""
    whole = read_fleet("small")
    fewer = scale_capacity(whole, SHARE)
    before, plan = plan_fleet(whole), plan_fleet(fewer)
    explanation = explain_plan(fewer, plan, options=ExplainOptions(time_limit_s=None))
    difference = compare_plans(before, plan)
    report = Report(
        title=f"The small fleet with {SHARE:.0%} of its cards: why this plan, and what changed",
        data={
            "currency": plan.currency,
            "cost_per_hour": {"all": before.cost_per_hour, "fewer": plan.cost_per_hour},
            "runner_ups": {
                item.server: {
                    "instead": own_words(item.runner_up.own),
                    "own_cost_change": item.runner_up.own_cost_change,
                    "plan_value_change": item.runner_up.change.value_change,
                    "no_longer_served": list(item.runner_up.change.no_longer_served),
                }
                for item in explanation.allocations
                if item.runner_up is not None
            },
            "one_more_card": {
                price.of: price.change.value_change for price in explanation.shadow_prices
            },
            "changed": {
                item.server: [cause_words(cause) for cause in item.causes]
                for item in difference.servers
            },
        },
        tables=[
            _choices(explanation),
            _cards(explanation),
            _changes(difference),
        ],
        findings=_findings(explanation, difference, before, plan),
        figures={
            "explanation.png": alternatives_figure(
                "What each server would have instead, and what that would cost", explanation
            )
        },
    )
    return publish(report, output, format)


def _choices(explanation: Explanation) -> Table:
    rows = []
    for item in explanation.allocations:
        if item.runner_up is None:
            continue
        own = item.runner_up.own_cost_change
        rows.append(
            (
                item.server,
                f"{item.replicas} × {item.accelerator}",
                own_words(item.runner_up.own),
                "?" if own is None else signed(own),
                _for_the_plan(item.runner_up.change),
            )
        )
    unit = f"{explanation.currency}/h"
    headers = ("Server", "Has", "Instead", f"{unit} for itself", f"{unit} for the plan")
    return numbers_table(headers, rows)


def _for_the_plan(change: PlanChange) -> str:
    lost = ", ".join(change.no_longer_served)
    return f"no longer serves {lost}" if lost else signed(change.value_change)


def _cards(explanation: Explanation) -> Table:
    return numbers_table(
        ("One more card", "Used", "Of", "Changes"),
        [
            (price.of, _count(price.used), _count(price.available), _worth(price, explanation))
            for price in explanation.shadow_prices
        ],
    )


def _count(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}"


def _worth(price: ShadowPrice, explanation: Explanation) -> str:
    change = price.change
    if not (change.value_change or change.served_change):
        return "nothing"
    return change_words(change, explanation.currency)


def _changes(difference: PlanDifference) -> Table:
    return numbers_table(
        ("Changed since all cards", "From", "To", f"{difference.currency}/h"),
        [
            (
                item.server,
                allocation_words(item.before),
                allocation_words(item.after),
                signed(item.cost_change),
            )
            for item in difference.servers
        ],
    )


def _findings(
    explanation: Explanation, difference: PlanDifference, before: Plan, plan: Plan
) -> list[str]:
    currency = explanation.currency
    found = [
        f"With {SHARE:.0%} of the cards {served_words(plan)} servers are served by priority, after "
        f"{served_words(before)}, for {money(plan.cost_per_hour)} {currency} an hour, after "
        f"{money(before.cost_per_hour)}. {len(difference.servers)} servers changed."
    ]
    giving = [item for item in explanation.allocations if _gives_way(item)]
    if giving:
        names = ", ".join(item.server for item in giving)
        found.append(
            f"{len(giving)} servers have not what is cheapest for them alone, because others save "
            f"more with it: {names}."
        )
    dearest = max(
        (item for item in explanation.allocations if _price(item) is not None),
        key=lambda item: _price(item) or 0.0,
        default=None,
    )
    if dearest is not None and dearest.runner_up is not None:
        own = dearest.runner_up.own_cost_change or 0.0
        found.append(
            f"The choice that matters most: {dearest.replicas} × {dearest.accelerator} for "
            f"{dearest.server}. With {own_words(dearest.runner_up.own)} its own cost would change "
            f"by {signed(own)} {currency} an hour, that of the plan by "
            f"{signed(_price(dearest) or 0.0)} {currency}."
        )
    lost = [
        item.server
        for item in explanation.allocations
        if item.runner_up is not None and item.runner_up.change.no_longer_served
    ]
    if lost:
        found.append(
            f"Without the accelerator that it has, {' or '.join(lost)} would leave another server "
            "without cards: such a change has no price."
        )
    worth = [price for price in explanation.shadow_prices if price.change.value_change < -0.005]
    found += [
        f"One more card of {price.of} saves {money(-price.change.value_change)} {currency} an "
        "hour, what it costs itself already taken off."
        for price in worth
    ]
    return found


def _gives_way(item: AllocationExplanation) -> bool:
    return item.fully_served and item.choice_limit is ChoiceLimit.OTHERS


def _price(item: AllocationExplanation) -> float | None:
    other = item.runner_up
    if other is None or other.change.served_change or other.change.no_longer_served:
        return None
    return other.change.value_change


if __name__ == "__main__":
    run(main, "14-explanation")
