"""The greedy method and best effort written out plainly: the independent check.

One list of servers that is sorted by hand, one replica at a time, no heap and no shortcuts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from stoker.domain.settings import SaturationPolicy


@dataclass(frozen=True)
class Choice:
    """A candidate: its name, card type, cards of a replica, replicas and value."""

    name: str
    card_type: int
    cards: int
    replicas: int
    value: float


@dataclass
class Entry:
    """A server in the queue, and the candidate that it stands at."""

    name: str
    priority: int
    choices: list[Choice]
    at: int = 0

    @property
    def delta(self) -> float:
        if self.at + 1 == len(self.choices):
            return math.inf
        return round(self.choices[self.at + 1].value - self.choices[self.at].value, 9)

    @property
    def key(self) -> tuple[int, float, float]:
        return (self.priority, -self.delta, -round(self.choices[self.at].value, 9))


@dataclass
class Naive:
    """What each server got: candidate and replicas, in full or as best effort."""

    available: list[int]
    full: dict[str, tuple[str, int]] = field(default_factory=dict)
    partial: dict[str, tuple[str, int]] = field(default_factory=dict)

    def run(
        self,
        servers: list[tuple[str, int, list[Choice]]],
        policy: SaturationPolicy,
        delayed: bool,
    ) -> None:
        entries = [
            Entry(name, priority, sorted(choices, key=lambda c: (round(c.value, 9), c.name)))
            for name, priority, choices in sorted(servers)
            if choices
        ]
        entries.sort(key=lambda entry: entry.key)
        left: list[Entry] = []
        for priority in sorted({entry.priority for entry in entries}):
            unplaced = self.allocate([e for e in entries if e.priority == priority])
            if delayed:
                left += unplaced
            else:
                self.best_effort(unplaced, policy)
        if delayed:
            self.best_effort(left, policy)

    def allocate(self, queue: list[Entry]) -> list[Entry]:
        unplaced = []
        while queue:
            entry = queue.pop(0)
            choice = entry.choices[entry.at]
            need = choice.replicas * choice.cards
            if need <= self.available[choice.card_type]:
                self.available[choice.card_type] -= need
                self.full[entry.name] = (choice.name, choice.replicas)
            elif entry.at + 1 < len(entry.choices):
                entry.at += 1
                before = [k for k, other in enumerate(queue) if other.key >= entry.key]
                queue.insert(before[0] if before else len(queue), entry)
            else:
                unplaced.append(entry)
        return unplaced

    def best_effort(self, unplaced: list[Entry], policy: SaturationPolicy) -> None:
        if policy is SaturationPolicy.PRIORITY_EXHAUSTIVE:
            for entry in unplaced:
                while self.take_one(entry):
                    pass
        elif policy is SaturationPolicy.ROUND_ROBIN:
            self.turns(unplaced)
        elif policy is SaturationPolicy.PRIORITY_ROUND_ROBIN:
            for priority in sorted({entry.priority for entry in unplaced}):
                self.turns([e for e in unplaced if e.priority == priority])

    def turns(self, entries: list[Entry]) -> None:
        while entries:
            entries = [entry for entry in entries if self.take_one(entry)]

    def take_one(self, entry: Entry) -> bool:
        """Give one replica more, of the accelerator settled on; tell whether that went."""
        settled, count = self.partial.get(entry.name, ("", 0))
        for choice in entry.choices:
            if settled not in ("", choice.name):
                continue
            if choice.cards <= self.available[choice.card_type] and count < choice.replicas:
                self.available[choice.card_type] -= choice.cards
                self.partial[entry.name] = (choice.name, count + 1)
                return True
        return False
