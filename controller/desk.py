"""The desk of a loop: what people may ask it and order it, over its journal.

The command line and REST are two faces of it. Whoever has the files of a loop that runs elsewhere
has all of it but the bell that wakes the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from controller.journal import CycleJournal
from controller.proposals import JsonObject
from controller.summary import explanation_of
from stoker.domain.control.orders import ConflictError, NotThereError

_MOST_WHOLE = 100
"""Most cycles on a page for which whole records are read."""


class Desk:
    """Answers questions about a loop, and takes orders for it.

    Args:
        journal: Its records.
        now: The time of day, in seconds since the epoch.
        wake: Begins the next cycle at once; None where the loop cannot be reached.
    """

    def __init__(
        self,
        journal: CycleJournal,
        now: Callable[[], float],
        wake: Callable[[], None] | None = None,
    ) -> None:
        self._journal = journal
        self._now = now
        self._wake = wake

    def status(self) -> JsonObject:
        """Return the last record, and what is ordered.

        Raises:
            NotThereError: No cycle is over yet.
        """
        record = self._record(None)
        pending = self._journal.orders.pending()
        plan = pending["plan"]
        if plan is not None:
            plan = {key: plan[key] for key in ("id", "servers", "approved")}
        return {**record, "paused_since": self._journal.orders.paused(), "pending": plan}

    def cycle(self, number: int | None) -> JsonObject:
        """Return a whole record.

        Args:
            number: Number of the cycle; None for the last.

        Raises:
            NotThereError: It is not kept.
        """
        return self._record(number)

    def explain(self, server: str, number: int | None) -> JsonObject:
        """Return all that a cycle knew and decided of a server.

        Raises:
            NotThereError: The cycle is not kept, or the server is not in it.
        """
        record = self._record(number)
        if server not in record["servers"]:
            known = ", ".join(record["servers"])
            raise NotThereError(
                f"server {server!r} is not in cycle {record['cycle']}, which has: {known}"
            )
        return explanation_of(record, server)

    def history(
        self,
        count: int,
        *,
        before: int | None = None,
        since: float | None = None,
        until: float | None = None,
        server: str | None = None,
    ) -> JsonObject:
        """Return a page of cycles, the newest first.

        Args:
            count: Most cycles of the page.
            before: Where the page before ended: its `next`.
            since: Only cycles that began then or later, in seconds since the epoch.
            until: Only cycles that began earlier.
            server: Explain this server in each cycle, instead of the cycles in short; cycles
                without it are left out, and a page has a hundred at most.

        Returns:
            ``cycles``, and ``next``: `before` of the next page; None where this is the last.

        Raises:
            NotThereError: There is no such server.
        """
        view = None
        if server is not None:
            count = min(count, _MOST_WHOLE)
            view = partial(_of_server, server=server)
        found = self._journal.archive.page(
            count + 1, before=before, since=since, until=until, view=view
        )
        page, more = found[:count], len(found) > count
        cycles = [each.document for each in page if each.document]
        if server is not None and not cycles and before is None:
            self.explain(server, None)  # a name that is none is told, one without cycles is not
        return {"cycles": cycles, "next": page[-1].key if more else None}

    def pending(self) -> JsonObject:
        """Return the plan that waits for approval, if one does, and what was rejected of it.

        Raises:
            NotThereError: No cycle is over yet.
        """
        return self._journal.orders.pending()

    def approve(self, plan: str | None, servers: Sequence[str] | None) -> JsonObject:
        """Let the loop carry out decisions of the plan that waits, from its next cycle on.

        Args:
            plan: Identity of the plan that was seen; None for whichever waits.
            servers: Whose decisions; None for all of the plan.

        Raises:
            NotThereError: No cycle is over yet.
            ConflictError: No plan waits, or not this one.
            InvalidInputError: A server is none of the plan.
        """
        approved = self._journal.orders.approve(plan, servers)
        if self._wake is not None:
            self._wake()
        return approved

    def reject(self, plan: str | None, servers: Sequence[str] | None) -> JsonObject:
        """Let decisions of the plan that waits wait no more while they stay the same.

        The arguments and errors are those of `approve`.
        """
        return self._journal.orders.reject(plan, servers)

    def pause(self, reason: str) -> JsonObject:
        """Let the loop change nothing until it is resumed; it goes on to measure and to plan."""
        return {"paused": self._journal.orders.pause(reason, self._now())}

    def resume(self) -> JsonObject:
        """Let the loop act again, as far as its mode allows."""
        self._journal.orders.resume()
        return {"paused": None}

    def trigger(self) -> JsonObject:
        """Begin a cycle now, or as soon as the one that runs is over.

        Raises:
            ConflictError: The loop cannot be reached from here.
        """
        if self._wake is None:
            raise ConflictError("the loop can be woken at its address alone: name it with --url")
        found = self._journal.last()
        self._wake()
        return {"after_cycle": found[0]["cycle"] if found else 0}

    def _record(self, number: int | None) -> JsonObject:
        if number is None:
            found = self._journal.last()
            if not found:
                raise NotThereError("no cycle is over yet: wait for the first")
            return found[0]
        record = self._journal.cycle(number)
        if record is None:
            raise NotThereError(f"cycle {number} is not among those that are kept")
        return record


def _of_server(document: JsonObject, server: str) -> JsonObject | None:
    return explanation_of(document, server) if server in document["servers"] else None
