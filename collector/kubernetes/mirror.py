"""Copies of a cluster's objects, kept up to date by watches; each knows how old it is."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from collector.kubernetes.api import ClusterError, Kind, Objects, RawObject

logger = logging.getLogger(__name__)

_WATCH_S = 20.0
_LIST_S = 20.0
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0


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
    ) -> None:
        self._ended = threading.Event()
        self._followers = {
            kind: [
                _Follower(
                    objects,
                    kind,
                    "" if kind is Kind.NODES else namespace,
                    monotonic,
                    self._ended,
                    missing_is_empty=kind in optional,
                    resync_s=resync_s,
                    watch_s=max(1, math.floor(watch_s)),
                )
                for namespace in (("",) if kind is Kind.NODES else tuple(namespaces) or ("",))
            ]
            for kind in kinds
        }

    def __enter__(self) -> Mirror:
        for followers in self._followers.values():
            for follower in followers:
                follower.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Threads that wait for events are daemons: they end with their watch, or the process.
        self._ended.set()

    def wait_listed(self, timeout_s: float) -> bool:
        """Wait until every kind was listed or refused once; return whether that came to be."""
        return all(
            follower.tried.wait(timeout_s)
            for followers in self._followers.values()
            for follower in followers
        )

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
    ) -> None:
        self._objects = objects
        self._kind = kind
        self._namespace = namespace
        self._monotonic = monotonic
        self._ended = ended
        self._missing_is_empty = missing_is_empty
        self._resync_s = resync_s
        self._watch_s = watch_s
        self._lock = threading.Lock()
        self._items: dict[str, RawObject] | None = None
        self._confirmed = 0.0
        self._problem = ""
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
        wait_s = _FIRST_WAIT_S
        while not self._ended.is_set():
            try:
                version = self._list()
                wait_s = _FIRST_WAIT_S
                self._watch(version)
            except ClusterError as error:
                if error.status == 410:
                    continue  # the version is too old: list again
                if error.status == 404 and self._missing_is_empty:
                    self._take((), "")
                    self._ended.wait(self._resync_s)
                    continue
                with self._lock:
                    self._problem = str(error)
                    if error.status in (401, 403):
                        self._items = None  # what may not be read any more is not known
                wait_s = self._rest(wait_s)
            except Exception as error:
                # Whatever it is: a thread that ends would let the copies grow old for ever.
                logger.exception("following %s failed", self._kind.value)
                with self._lock:
                    self._problem = f"following {self._kind.value} failed: {error}"
                wait_s = self._rest(wait_s)

    def _rest(self, wait_s: float) -> float:
        """Wait until it is time to ask again; return how long to wait the next time."""
        self.tried.set()
        self._ended.wait(wait_s)
        return min(wait_s * 2, _LONGEST_WAIT_S)

    def _list(self) -> str:
        listed = self._objects.list_objects(self._kind, self._namespace, _LIST_S)
        self._take(listed.items, "")
        return listed.version

    def _take(self, items: Sequence[RawObject], problem: str) -> None:
        with self._lock:
            self._items = {_uid(item): item for item in items}
            self._confirmed = self._monotonic()
            self._problem = problem
        self.tried.set()

    def _watch(self, version: str) -> None:
        listed_at = self._monotonic()
        while not self._ended.is_set() and self._monotonic() - listed_at < self._resync_s:
            for event in self._objects.watch(self._kind, self._namespace, version, self._watch_s):
                version = event.item.get("metadata", {}).get("resourceVersion") or version
                with self._lock:
                    self._confirmed = self._monotonic()
                    self._note(event.kind, event.item)
                if self._ended.is_set():
                    return
            with self._lock:
                self._confirmed = self._monotonic()  # a watch that ends in order has missed nothing

    def _note(self, kind: str, item: RawObject) -> None:
        assert self._items is not None
        if kind in ("ADDED", "MODIFIED"):
            self._items[_uid(item)] = item
        elif kind == "DELETED":
            self._items.pop(_uid(item), None)


def _uid(item: Mapping[str, object]) -> str:
    meta = item.get("metadata")
    return str(meta.get("uid", "")) if isinstance(meta, Mapping) else ""
