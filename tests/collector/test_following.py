"""Following objects goes on whatever happens, and what may not be read any more is not known."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from collector.kubernetes.api import ClusterError, Event, Kind, Listed
from collector.kubernetes.mirror import Mirror
from tests.support.real_cluster import eventually

POD = {"metadata": {"uid": "1", "name": "a", "resourceVersion": "1"}}


class Objects:
    """Lists that a test decides on, and watches in which nothing happens."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = threading.Event()
        self.lists = 0
        self.watches = 0
        self.watch_error: Exception | None = None

    def list_objects(self, kind: Kind, namespace: str, timeout_s: float) -> Listed:
        del kind, namespace, timeout_s
        self.asked.set()
        self.lists += 1
        if self.error is not None:
            raise self.error
        return Listed((POD,), "1")

    def watch(self, kind: Kind, namespace: str, version: str, seconds: int) -> Iterator[Event]:
        del kind, namespace, version, seconds
        time.sleep(0.02)
        self.watches += 1
        error = self.error or self.watch_error
        if error is not None:
            raise error
        yield from ()


def test_an_answer_that_nobody_expected_does_not_end_it() -> None:
    objects = Objects()
    objects.error = ValueError("not JSON")
    with Mirror(objects, [Kind.PODS], [], time.monotonic) as mirror:
        eventually(lambda: "not JSON" in mirror.copies(Kind.PODS).problem)
        objects.error = None
        eventually(lambda: mirror.copies(Kind.PODS).items == (POD,))
        assert mirror.copies(Kind.PODS).problem == ""


def test_what_may_not_be_read_any_more_is_not_known() -> None:
    objects = Objects()
    with Mirror(objects, [Kind.NODES], [], time.monotonic) as mirror:
        eventually(lambda: mirror.copies(Kind.NODES).items == (POD,))
        objects.error = ClusterError("no answer", None)
        eventually(lambda: mirror.copies(Kind.NODES).problem != "")
        assert mirror.copies(Kind.NODES).items == (POD,)  # old, but told
        objects.error = ClusterError("nodes is forbidden", 403)
        eventually(lambda: mirror.copies(Kind.NODES).items is None)
        objects.error = None
        eventually(lambda: mirror.copies(Kind.NODES).items == (POD,))


def test_a_server_that_is_away_is_asked_again_at_intervals_that_do_not_grow_for_ever() -> None:
    objects = Objects()
    objects.error = ClusterError("connection refused", None)
    with Mirror(objects, [Kind.PODS], [], time.monotonic, longest_wait_s=0.2) as mirror:
        eventually(lambda: objects.lists > 15)  # growing ones alone would be at hours by now
        assert mirror.copies(Kind.PODS).items is None
        objects.error = None
        eventually(lambda: mirror.copies(Kind.PODS).items == (POD,))


class Waits(threading.Event):
    """What a follower waits by: tells for how long it would have waited, and does not."""

    def __init__(self, objects: Objects, count: int) -> None:
        super().__init__()
        self._objects, self._left = objects, count
        self.told: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.told.append(timeout or 0.0)
        if len(self.told) >= self._left:
            self.set()
        if len(self.told) == self._left // 2:
            self._objects.watch_error = None
        return True


@pytest.mark.parametrize("status", [None, 403, 410])
def test_where_lists_work_and_watches_break_at_once_lists_come_ever_slower(
    monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    objects = Objects()
    objects.watch_error = ClusterError("broken", status)
    waits = Waits(objects, 12)
    mirror = Mirror(objects, [Kind.PODS], [], time.monotonic, longest_wait_s=3.0)
    (follower,) = mirror._followers[Kind.PODS]
    monkeypatch.setattr(follower, "_ended", waits)
    follower._follow()
    assert waits.told[:6] == [0.2, 0.4, 0.8, 1.6, 3.0, 3.0]
    # From here on watches work: they go on from where they ended, with no list between.
    assert waits.told[6:] == [0.2] * 6
    assert (objects.lists, objects.watches) == (7, 12)
