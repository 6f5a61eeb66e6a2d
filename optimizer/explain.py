"""Why a server is not served in full, with figures, and what would mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from optimizer.configurations.reasons import furthest, named_row
from optimizer.entries import Entries
from optimizer.fleet_columns import MOST_CARDS
from optimizer.placement import Outcome
from optimizer.remedies import RejectionRemedies, count_of, some_names
from optimizer.table import ACCEPTED, EMPTY, REJECTIONS, CandidateTable, IntArray
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.plan import PlanStatus, Unplaced
from stoker.domain.reasons import Rejection, UnplacedReason
from stoker.domain.usage import CardUsage

_WORDS = {
    Rejection.NO_PROFILE: "the model has no profile on {}",
    Rejection.NO_TARGET: "the service class has no target for the model",
    Rejection.LOAD_UNKNOWN: "the load is unknown",
    Rejection.ZERO_PARAMETERS: "all parameters of the profile are zero on {}",
    Rejection.KIND_TOO_WEAK: "the profile is of a kind that the plan may not rest on, on {}",
    Rejection.NOT_CURRENT: "the server must stay on its accelerator, which rules out {}",
    Rejection.MEMORY: "memory is too small on {}",
    Rejection.TTFT_UNREACHABLE: "the TTFT target is out of reach on {}",
    Rejection.ITL_UNREACHABLE: "the ITL target is out of reach on {}",
    Rejection.E2E_UNREACHABLE: "the E2E target is out of reach on {}",
    Rejection.TARGETS_CONFLICT: "no rate keeps all targets at once on {}",
    Rejection.BLOCKING_UNREACHABLE: "too many requests would be turned away on {}",
    Rejection.REPLICA_BOUND: "more replicas than allowed would be needed on {}",
    Rejection.NO_CARDS: "the fleet has no cards for {}",
    Rejection.NUMERIC: "the figures are beyond what can be computed on {}",
}
_MOST_MISSING = int(MOST_CARDS)


class Explainer:
    """Explains the servers that a placement leaves unserved."""

    def __init__(
        self,
        fleet: Fleet,
        table: CandidateTable,
        entries: Entries,
        outcome: Outcome,
        usage: Sequence[CardUsage],
        kept: Sequence[PlannedAllocation] = (),
    ) -> None:
        """Take what was planned for, with what, the decision, its cards, and what was kept."""
        self._fleet = fleet
        self._table = table
        self._entries = entries
        self._status = outcome.status
        self._accepted = table.accepted
        self._cards = table.cards
        self._kept = {item.server: item for item in kept}
        by_type = {item.card_type: item for item in usage}
        self._available = [by_type[name].available for name in table.card_types]
        # Less than nothing is left where what is kept exceeds the capacity.
        self._left: IntArray = np.array(
            [
                max((by_type[name].available or 0) - by_type[name].used, -_MOST_MISSING)
                for name in table.card_types
            ],
            dtype=np.int64,
        )
        self._remedies = RejectionRemedies(fleet, table)

    def unplaced(self, server: int) -> Unplaced:
        """Return the explanation for a server that is not served in full."""
        rejections = self._rejections(server)
        if self._fleet.servers[server].load is None:
            reason = UnplacedReason.LOAD_UNKNOWN
            detail = self._undecided(server)
            remedy = "state its arrival rate and its input and output tokens (0 for no load)"
        elif not bool(np.any(self._accepted[self._rows(server)])):
            reason = UnplacedReason.NO_CANDIDATE
            detail = self._no_candidate(rejections)
            remedy = self._remedies.for_server(server)
        elif self._status is PlanStatus.TIME_LIMIT:
            reason = UnplacedReason.TIME_LIMIT
            detail = "the solver ran out of time before it found any plan"
            remedy = "allow more time, or choose the greedy solver"
        else:
            reason = UnplacedReason.CAPACITY
            detail, remedy = self._capacity(server)
        return Unplaced(self._fleet.servers[server].name, reason, detail, remedy, rejections)

    def _rows(self, server: int) -> slice:
        return slice(int(self._table.row_start[server]), int(self._table.row_start[server + 1]))

    def _rejections(self, server: int) -> dict[str, Rejection]:
        """Return why each accelerator is none for the server; no cards of its type included.

        An accelerator with several rows is none where all are rejected, and the reason is that of
        the row which came furthest.
        """
        table = self._table
        reasons: dict[int, list[Rejection | None]] = {}
        rows = self._rows(server)
        for row in range(rows.start, rows.stop):
            code, accelerator = int(table.rejection[row]), int(table.accelerator[row])
            if accelerator == EMPTY:
                continue
            found = reasons.setdefault(accelerator, [])
            if code != ACCEPTED:
                found.append(REJECTIONS[code - 1])
            elif self._available[int(table.card_type[row])] == 0:
                found.append(Rejection.NO_CARDS)
            else:
                found.append(None)
        return {
            table.accelerators[accelerator]: reason
            for accelerator, found in reasons.items()
            if (reason := furthest(found)) is not None
        }

    def _undecided(self, server: int) -> str:
        kept = self._kept.get(self._fleet.servers[server].name)
        if kept is None:
            return "its load is unknown, so nothing was decided for it"
        running = f"{count_of(kept.replicas, 'replica')} on {kept.accelerator}"
        return f"kept as it is, with {running}: its load is unknown"

    def _no_candidate(self, rejections: dict[str, Rejection]) -> str:
        if not rejections:
            return "no candidate was given for it"
        counts = Counter(rejections.values())
        parts = [
            _WORDS[reason].format(some_names(accelerators_of(rejections, reason)))
            for reason, _ in counts.most_common()
        ]
        return "no accelerator can serve it: " + "; ".join(parts)

    def _capacity(self, server: int) -> tuple[str, str]:
        """Return detail and remedy where cards are what is missing.

        Free for a server are the cards that nobody uses and those of its own best effort.
        """
        table = self._table
        rows = self._rows(server)
        accepted = np.flatnonzero(self._accepted[rows]) + rows.start
        free = self._left.copy()
        for entry in self._span(server):
            given = int(self._entries.row[entry])
            free[table.card_type[given]] += (
                self._entries.replicas[entry] * table.cards_per_replica[given]
            )
        missing = self._cards[accepted] - free[table.card_type[accepted]]
        nearest = int(np.lexsort((table.value[accepted], missing))[0])
        row, short = int(accepted[nearest]), int(missing[nearest])
        card_type = table.card_types[int(table.card_type[row])]
        accelerator = named_row(table, row)
        replicas = int(table.all_replicas[row])
        need = f"{count_of(replicas, 'replica')} on {accelerator}"
        if short <= 0:
            return (
                f"the plan found does not serve it, though {need} would fit in the cards left",
                "allow the solver more time or a smaller gap",
            )
        types = set(table.card_type[accepted].tolist())
        if all(self._available[card_type] == 0 for card_type in types):
            opening = "the fleet has no cards of any type that it could run on"
        else:
            opening = "the cards left are too few for any of its candidates"
        cards = int(self._cards[row])
        left = max(0, cards - short)
        take = "takes" if replicas == 1 else "take"
        detail = (
            f"{opening}; nearest: {need} {take} {count_of(cards, 'card')} of {card_type}, "
            f"of which {left:,} {'is' if left == 1 else 'are'} free for it"
        )
        remedy = f"add at least {count_of(short, 'card')} of {card_type}"
        return (
            detail + self._received(server),
            f"{remedy}, lower its load, or loosen its targets",
        )

    def _span(self, server: int) -> range:
        return range(int(self._entries.start[server]), int(self._entries.start[server + 1]))

    def _received(self, server: int) -> str:
        """Return what best effort gave the server, as the end of a sentence."""
        parts = []
        for entry in self._span(server):
            row, count = int(self._entries.row[entry]), int(self._entries.replicas[entry])
            name = named_row(self._table, row)
            full = int(self._table.replicas[row])
            parts.append(f"{count:,} of the {count_of(full, 'replica')} on {name}")
        return f"; best effort gave it {' and '.join(parts)}" if parts else ""


def accelerators_of(rejections: dict[str, Rejection], reason: Rejection) -> list[str]:
    """Return the accelerators rejected for a reason, in the fleet's order."""
    return [name for name, found in rejections.items() if found is reason]
