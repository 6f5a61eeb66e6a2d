"""Copies of a cluster's objects, kept up to date by watches; each knows how old it is."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from collector.kubernetes.api import ClusterError, Kind, Objects, RawObject
from collector.kubernetes.hardware import holding

logger = logging.getLogger(__name__)

_WATCH_S = 20.0
_LIST_S = 20.0
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0

_Keep = Callable[[RawObject], RawObject]
"""What is kept of an object."""


@dataclass(frozen=True, slots=True)
class Copies:
    """The objects of one kind, as they were when last confirmed.

    Attributes:
        items: The objects; None where they were never listed.
        age_s: Seconds since the API server last confirmed them; None where it never did.
        problem: Why they cannot be kept up to date; empty where they are.
    """

    items: tuple[RawObject, ...] | None
    age_s: float | None
    problem: str = ""


class Mirror:
    """Follows kinds of objects with one thread each, as a context manager.

    A watch that ends is taken up where it stopped; one whose version is too old is replaced by a
    list; a server that is away is asked again, at growing intervals, while the copies grow old.

    Args:
        objects: Where to list and watch.
        kinds: What to follow.
        namespaces: Namespaces to follow it in; empty for all.
        monotonic: A clock that never goes back, in seconds.
        optional: Kinds that the cluster may not know, which are then empty and no problem.
        resync_s: Time after which a kind is listed again although its watch works.
        watch_s: Longest time of one watch, in whole seconds. Where nothing changes, its end is
            what confirms the copies: they grow that old although all is well.
        longest_wait_s: Longest time between two tries to reach a server that is away.
        others: Whether pods of other namespaces are followed as well, as far as they hold cards
            of the nodes, where both pods and nodes are.
    """

    def __init__(
        self,
        objects: Objects,
        kinds: Sequence[Kind],
        namespaces: Sequence[str],
        monotonic: Callable[[], float],
        *,
        optional: frozenset[Kind] = frozenset({Kind.LEADER_WORKER_SETS}),
        resync_s: float = 600.0,
        watch_s: float = _WATCH_S,
        longest_wait_s: float = _LONGEST_WAIT_S,
        others: bool = True,
    ) -> None:
        self._ended = threading.Event()
        self._namespaces = frozenset(namespaces)

        def follower(kind: Kind, namespace: str, keep: _Keep | None = None) -> _Follower:
            return _Follower(
                objects,
                kind,
                namespace,
                monotonic,
                self._ended,
                missing_is_empty=kind in optional,
                resync_s=resync_s,
                watch_s=max(1, math.floor(watch_s)),
                longest_wait_s=longest_wait_s,
                keep=keep,
            )

        self._followers = {
            kind: [
                follower(kind, namespace)
                for namespace in (("",) if kind is Kind.NODES else tuple(namespaces) or ("",))
            ]
            for kind in kinds
        }
        self._others: _Follower | None = None
        if others and namespaces and {Kind.PODS, Kind.NODES} <= set(kinds):
            self._others = follower(Kind.PODS, "", holding)

    def __enter__(self) -> Mirror:
        for follower in self._all():
            follower.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Threads that wait for events are daemons: they end with their watch, or the process.
        self._ended.set()

    def wait_listed(self, timeout_s: float) -> bool:
        """Wait until every kind was listed or refused once; return whether that came to be."""
        return all(follower.tried.wait(timeout_s) for follower in self._all())

    def copies(self, kind: Kind) -> Copies:
        """Return the copies of a kind, over all namespaces; as old as the oldest of them."""
        parts = [follower.copies() for follower in self._followers[kind]]
        problem = "; ".join(dict.fromkeys(part.problem for part in parts if part.problem))
        items: list[RawObject] = []
        ages = []
        for part in parts:
            if part.items is None or part.age_s is None:
                return Copies(None, None, problem)
            items += part.items
            ages.append(part.age_s)
        return Copies(tuple(items), max(ages), problem)

    def others(self) -> Copies:
        """Return the pods of namespaces that are not looked at, with what tells of their cards.

        None of them where all namespaces are looked at; items None where they are not known.
        """
        if not self._namespaces:
            return Copies((), 0.0)
        if self._others is None:
            return Copies(None, None)
        found = self._others.copies()
        if found.items is None:
            return found
        apart = (
            pod for pod in found.items if pod["metadata"].get("namespace") not in self._namespaces
        )
        return Copies(tuple(apart), found.age_s, found.problem)

    def _all(self) -> list[_Follower]:
        found = [follower for followers in self._followers.values() for follower in followers]
        return found if self._others is None else [*found, self._others]


class _Follower:
    """One thread that follows one kind in one place."""

    def __init__(
        self,
        objects: Objects,
        kind: Kind,
        namespace: str,
        monotonic: Callable[[], float],
        ended: threading.Event,
        *,
        missing_is_empty: bool,
        resync_s: float,
        watch_s: int,
        longest_wait_s: float,
        keep: _Keep | None,
    ) -> None:
        self._objects = objects
        self._kind = kind
        self._namespace = namespace
        self._monotonic = monotonic
        self._ended = ended
        self._missing_is_empty = missing_is_empty
        self._resync_s = resync_s
        self._watch_s = watch_s
        self._longest_wait_s = longest_wait_s
        self._keep = keep or _whole
        self._lock = threading.Lock()
        self._items: dict[str, RawObject] | None = None
        self._confirmed = 0.0
        self._problem = ""
        self._wait_s = _FIRST_WAIT_S
        self.tried = threading.Event()
        self.thread = threading.Thread(
            target=self._follow, name=f"follow-{kind.value}", daemon=True
        )

    def copies(self) -> Copies:
        with self._lock:
            if self._items is None:
                return Copies(None, None, self._problem)
            age_s = max(0.0, self._monotonic() - self._confirmed)
            return Copies(tuple(self._items.values()), age_s, self._problem)

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                self._watch(self._list())
            except ClusterError as error:
                if error.status == 410:
                    self._rest()  # the version is too old: list again
                    continue
                if error.status == 404 and self._missing_is_empty:
                    self._take((), "")
                    self._ended.wait(self._resync_s)
                    continue
                with self._lock:
                    self._problem = str(error)
                    if error.status in (401, 403):
                        self._items = None  # what may not be read any more is not known
                self._rest()
            except Exception as error:
                # Whatever it is: a thread that ends would let the copies grow old for ever.
                logger.exception("following %s failed", self._kind.value)
                with self._lock:
                    self._problem = f"following {self._kind.value} failed: {error}"
                self._rest()

    def _rest(self) -> None:
        """Wait until it is time to ask again: longer each time, until a watch works.

        A list that works is no reason to hurry: where watches break at once, all would be listed
        over and over.
        """
        self.tried.set()
        self._ended.wait(min(self._wait_s, self._longest_wait_s))
        self._wait_s = min(self._wait_s * 2, self._longest_wait_s)

    def _list(self) -> str:
        listed = self._objects.list_objects(self._kind, self._namespace, _LIST_S)
        self._take(listed.items, "")
        return listed.version

    def _take(self, items: Sequence[RawObject], problem: str) -> None:
        with self._lock:
            self._items = {_uid(item): self._keep(item) for item in items}
            self._confirmed = self._monotonic()
            self._problem = problem
        self.tried.set()

    def _watch(self, version: str) -> None:
        listed_at = self._monotonic()
        while not self._ended.is_set() and self._monotonic() - listed_at < self._resync_s:
            brought = False
            for event in self._objects.watch(self._kind, self._namespace, version, self._watch_s):
                brought = True
                self._wait_s = _FIRST_WAIT_S
                version = event.item.get("metadata", {}).get("resourceVersion") or version
                with self._lock:
                    self._confirmed = self._monotonic()
                    self._note(event.kind, event.item)
                if self._ended.is_set():
                    return
            with self._lock:
                self._confirmed = self._monotonic()  # a watch that ends in order has missed nothing
            self._wait_s = _FIRST_WAIT_S
            if not brought:
                self._ended.wait(_FIRST_WAIT_S)  # a proxy may end each one at once

    def _note(self, kind: str, item: RawObject) -> None:
        assert self._items is not None
        if kind in ("ADDED", "MODIFIED"):
            self._items[_uid(item)] = self._keep(item)
        elif kind == "DELETED":
            self._items.pop(_uid(item), None)


def _whole(item: RawObject) -> RawObject:
    return item


def _uid(item: Mapping[str, object]) -> str:
    meta = item.get("metadata")
    return str(meta.get("uid", "")) if isinstance(meta, Mapping) else ""
