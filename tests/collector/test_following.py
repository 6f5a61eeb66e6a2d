"""Following objects goes on whatever happens, and what may not be read any more is not known."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from collector.kubernetes.api import ClusterError, Event, Kind, Listed
from collector.kubernetes.mirror import Mirror
from tests.support.real_cluster import eventually

POD = {"metadata": {"uid": "1", "name": "a", "resourceVersion": "1"}}


class Objects:
    """Lists that a test decides on, and watches in which nothing happens."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = threading.Event()

    def list_objects(self, kind: Kind, namespace: str, timeout_s: float) -> Listed:
        del kind, namespace, timeout_s
        self.asked.set()
        if self.error is not None:
            raise self.error
        return Listed((POD,), "1")

    def watch(self, kind: Kind, namespace: str, version: str, seconds: int) -> Iterator[Event]:
        del kind, namespace, version, seconds
        time.sleep(0.02)
        if self.error is not None:
            raise self.error
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
