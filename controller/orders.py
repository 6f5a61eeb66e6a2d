"""What somebody ordered of a loop: approvals, rejections, a pause; kept beside its cycles."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from controller.archive import Archive, get, opened, put
from controller.proposals import JsonObject, proposal_of, still, waiting_decisions, without
from stoker.domain.control.orders import ConflictError, NotThereError
from stoker.domain.errors import InvalidInputError, Problem

_APPROVED, _REJECTED, _PAUSED = "approved", "rejected", "paused"


class Orders:
    """The orders to one loop.

    Args:
        archive: Where its cycles are kept.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def approve(self, plan: str | None, servers: Sequence[str] | None) -> JsonObject:
        """Approve decisions of the plan that waits, just as they stand, and return them.

        Args:
            plan: Identity of the plan that was seen; None for whichever waits.
            servers: Whose decisions; None for all of the plan.

        Raises:
            ConflictError: No plan waits, or not this one.
            InvalidInputError: A server is none of the plan.
        """
        return self._order(plan, servers, _APPROVED, _REJECTED)

    def reject(self, plan: str | None, servers: Sequence[str] | None) -> JsonObject:
        """Reject decisions of the plan that waits: they wait no more while they stay the same.

        The arguments and errors are those of `approve`.
        """
        return self._order(plan, servers, _REJECTED, _APPROVED)

    def pending(self) -> JsonObject:
        """Return the plan that waits for approval, if one does, and what was rejected of it."""
        with self._archive.transaction() as database:
            document = _last(database)
            waiting, rejected, approved = _waiting(database, document)
        plan = proposal_of(waiting)
        if plan is not None:
            plan = {
                **plan,
                "cycle": document["cycle"],
                "at": document["at"],
                "approved": sorted(approved),
                "decisions": waiting,
            }
        return {
            "mode": document["mode"],
            "leader": document["leader"],
            "plan": plan,
            "rejected": rejected,
        }

    def approved(self, document: JsonObject) -> frozenset[str]:
        """Return the servers whose decision in this record somebody approved as it stands."""
        with self._archive.transaction() as database:
            orders = _orders(database, _APPROVED)
        return frozenset(still(orders, waiting_decisions(document)))

    def pause(self, reason: str, at: float) -> JsonObject:
        """Let the loop change nothing until it is resumed, and return since when it does not."""
        paused = {"since": at, "reason": reason}
        with self._archive.transaction() as database:
            put(database, _PAUSED, json.dumps(paused))
        return paused

    def resume(self) -> None:
        """Let the loop act again, as far as its mode allows."""
        with self._archive.transaction() as database:
            put(database, _PAUSED, "")

    def paused(self) -> JsonObject | None:
        """Return since when the loop is paused, and why; None where it is not."""
        with self._archive.transaction() as database:
            text = get(database, _PAUSED)
        return opened(text) if text else None

    def _order(
        self, plan: str | None, servers: Sequence[str] | None, name: str, other: str
    ) -> JsonObject:
        with self._archive.transaction() as database:
            database.execute("BEGIN IMMEDIATE")  # no cycle may come between reading and writing
            document = _last(database)
            waiting, _, _ = _waiting(database, document)
            proposal = _expected(document, waiting, plan)
            _known(servers, waiting)
            chosen = {
                each: decision
                for each, decision in waiting.items()
                if servers is None or each in servers
            }
            put(database, name, json.dumps({**_orders(database, name), **chosen}))
            put(database, other, json.dumps(without(_orders(database, other), chosen)))
        return {"plan": proposal, name: chosen}

    def outlived(self, database: sqlite3.Connection, document: JsonObject) -> None:
        """Drop the orders that were given for other decisions than those of a new record.

        An order holds for the decision that it was given for, and for no later one like it.
        """
        waiting = waiting_decisions(document)
        for name in (_APPROVED, _REJECTED):
            put(database, name, json.dumps(still(_orders(database, name), waiting)))


def _last(database: sqlite3.Connection) -> JsonObject:
    row = database.execute("SELECT document FROM cycles ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        raise NotThereError("no cycle is over yet: wait for the first")
    return opened(row[0])


def _orders(database: sqlite3.Connection, name: str) -> dict[str, JsonObject]:
    text = get(database, name)
    return opened(text) if text else {}


def _waiting(
    database: sqlite3.Connection, document: JsonObject
) -> tuple[dict[str, JsonObject], dict[str, JsonObject], dict[str, JsonObject]]:
    """Return the decisions that wait, those that are rejected, and those that are approved."""
    every = waiting_decisions(document)
    rejected = still(_orders(database, _REJECTED), every)
    waiting = without(every, rejected)
    return waiting, rejected, still(_orders(database, _APPROVED), waiting)


def _expected(document: JsonObject, waiting: Mapping[str, JsonObject], plan: str | None) -> str:
    """Return the identity of the plan that waits, if it is the one that is meant."""
    mode, proposal = document["mode"], proposal_of(waiting)
    if mode != "advise":
        raise ConflictError(
            f"the loop is in the mode {mode}: plans wait for approval in the mode advise alone"
        )
    if not document["leader"]:
        raise ConflictError(
            "this loop does not lead, so that it carries nothing out: ask the one that does"
        )
    if proposal is None:
        raise ConflictError("no plan waits for approval")
    found = str(proposal["id"])
    if plan is not None and plan != found:
        raise ConflictError(f"plan {plan!r} does not wait for approval, another one does: {found}")
    return found


def _known(servers: Sequence[str] | None, waiting: Mapping[str, JsonObject]) -> None:
    problems = [
        Problem(f"servers[{index}]", f"{name!r} is none of the plan", ", ".join(waiting))
        for index, name in enumerate(servers or ())
        if name not in waiting
    ]
    if problems:
        raise InvalidInputError(problems)
