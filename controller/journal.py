"""What one loop writes down: cycles, its memory, and what somebody ordered meanwhile.

What was intended is written before it is done, so that the next loop can tell what was left open.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.archive import Archive, damaged, get, opened, put
from controller.lines import Lines
from controller.memory import Memory
from controller.proposals import JsonObject, proposal_of, still, waiting_decisions, without
from controller.recall import RecallError, memory_from_text, memory_to_text
from controller.record import CycleRecord
from stoker.domain.control.orders import ConflictError, NotThereError
from stoker.domain.errors import InvalidInputError, Problem

DATABASE = "history.db"
_DAY_S = 86_400.0
_MB = 1_000_000.0
_MEMORY, _INTENDED = "memory", "intended"
_APPROVED, _REJECTED, _PAUSED = "approved", "rejected", "paused"


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a loop finds when it begins.

    Attributes:
        memory: What was remembered; nothing where nothing was written.
        interrupted: The record of what was intended and perhaps not done; None where the last
            loop ended in order.
        problem: What could not be read, in words; empty for nothing.
    """

    memory: Memory
    interrupted: JsonObject | None = None
    problem: str = ""


class CycleJournal:
    """The records of one loop, in a folder of their own.

    Args:
        folder: The folder; made where it is not there.
        retention_days: Days after which records are deleted.
        retention_mb: Megabytes that the database may take, and as many the lines of JSON.
        mend: Whether a damaged database is set aside for a new one, as the loop needs it; whoever
            only reads leaves it where it is.

    Raises:
        OSError: The folder or its files cannot be written, or read.
    """

    def __init__(
        self,
        folder: Path,
        retention_days: float,
        retention_mb: float = 1000.0,
        *,
        mend: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._retention_s = retention_days * _DAY_S
        self._most_bytes = retention_mb * _MB
        self._lines = Lines(folder, self._retention_s, self._most_bytes)
        self._path = folder / DATABASE
        self._problem = ""
        try:
            self._archive = Archive(self._path)
        except OSError as error:
            if not (mend and damaged(error)):
                raise
            # A loop that cannot remember must still keep a fleet at its size.
            aside = _set_aside(self._path)
            self._problem = f"{error}; it was set aside as {aside.name}, and begins anew"
            self._archive = Archive(self._path)

    def recall(self) -> Recalled:
        """Return what the last loop left."""
        with self._archive.transaction() as database:
            remembered, intended = get(database, _MEMORY), get(database, _INTENDED)
        problem = self._problem
        memory = Memory()
        if remembered:
            try:
                memory = memory_from_text(remembered)
            except RecallError as error:
                problem = f"{self._path}: {error}; it begins anew"
        return Recalled(memory, json.loads(intended) if intended else None, problem)

    def intend(self, record: CycleRecord) -> None:
        """Write down what is about to be done."""
        with self._archive.transaction() as database:
            put(database, _INTENDED, json.dumps(record.document))

    def write(self, record: CycleRecord, memory: Memory) -> None:
        """Write down what was done, and what to remember; old records and old orders go."""
        with self._archive.transaction() as database:
            self._archive.add(database, record)
            put(database, _MEMORY, memory_to_text(memory))
            put(database, _INTENDED, "")
            # An order holds for the decision that it was given for, and for no later one like it.
            waiting = waiting_decisions(record.document)
            for name in (_APPROVED, _REJECTED):
                put(database, name, json.dumps(still(_orders(database, name), waiting)))
            self._archive.forget(database, record.at - self._retention_s, self._most_bytes)
        self._lines.add(json.dumps(record.document, separators=(",", ":")), record.at)

    # What somebody ordered

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

    def approved(self, record: CycleRecord) -> frozenset[str]:
        """Return the servers whose decision in this record somebody approved as it stands."""
        with self._archive.transaction() as database:
            orders = _orders(database, _APPROVED)
        return frozenset(still(orders, waiting_decisions(record.document)))

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

    # What was

    def last(self, count: int = 1) -> tuple[JsonObject, ...]:
        """Return the newest records, the newest first."""
        return self._archive.newest(count)

    def cycle(self, number: int) -> JsonObject | None:
        """Return the newest record of that number; None where there is none."""
        return self._archive.numbered(number)

    @property
    def archive(self) -> Archive:
        """All cycles that are kept."""
        return self._archive


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


def _set_aside(path: Path) -> Path:
    """Rename a damaged database, and drop the logs that belong to it."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside
