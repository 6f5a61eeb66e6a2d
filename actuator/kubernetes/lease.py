"""The right to act, held through a Lease: of several loops one acts, and a dead one is replaced."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from actuator.kubernetes.api import RawObject, WriteError, call
from stoker.domain.control.changes import ChangeOutcome
from stoker.domain.control.settings import LeaseSettings

logger = logging.getLogger(__name__)

_CLOCK = "%Y-%m-%dT%H:%M:%S.%fZ"


class Leadership:
    """Takes part in the election of a leader, as a context manager with a thread of its own.

    A candidate takes the Lease when nobody holds it, or when its holder has not renewed it for the
    whole of its duration *as this candidate has watched it*: clocks of machines are never compared.
    A leader that cannot renew stops being one before anybody may replace it, by its own clock.

    Args:
        client: A client of the API server.
        settings: Name and times of the Lease.
        identity: Who takes part; unique among the candidates.
        monotonic: A clock that never goes back, in seconds.
        changed: Called with whether this is the leader, when that changes.
    """

    def __init__(
        self,
        client: Any,
        settings: LeaseSettings,
        identity: str,
        monotonic: Callable[[], float],
        changed: Callable[[bool], None] = lambda _: None,
    ) -> None:
        import kubernetes

        self._api = kubernetes.client.CoordinationV1Api(client)
        self._settings = settings
        self.identity = identity
        self._monotonic = monotonic
        self._changed = changed
        self._renewed_at: float | None = None
        self._seen: tuple[str, str] | None = None  # holder and renewal of the Lease, as last seen
        self._seen_at = 0.0
        self._was_leader = False
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)
        self.problem = ""

    def __enter__(self) -> Leadership:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=self._settings.renew_s + 10.0)
        self._release()

    def holds(self) -> bool:
        """Return whether this candidate is the leader now, for certain.

        Certain for one renewal less than the duration: whoever waits for the duration to pass
        starts later than that.
        """
        with self._lock:
            if self._renewed_at is None:
                return False
            sure_s = self._settings.duration_s - self._settings.renew_s
            return self._monotonic() - self._renewed_at < sure_s

    def step(self) -> None:
        """Take part once: look at the Lease, and take or renew it where that is right."""
        asked_at = self._monotonic()
        try:
            lease = self._read()
            if lease is None:
                self._create()
            elif not self._may_take(lease):
                self._lose()
                return
            else:
                self._write(lease)
        except WriteError as error:
            if error.outcome is ChangeOutcome.CONFLICT:
                self._lose()  # another one was faster
                self.problem = ""
            else:
                self.problem = f"Lease {self._settings.namespace}/{self._settings.name}: {error}"
            return
        with self._lock:
            self._renewed_at = asked_at  # from when it was asked for, not from when it came
        self.problem = ""
        self._tell()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.step()
            except Exception as error:
                # Whatever it is: a candidate whose thread ends could never lead again.
                logger.exception("taking part in the election failed")
                self.problem = f"taking part in the election failed: {error}"
            self._tell()
            self._ended.wait(self._settings.renew_s)

    def _may_take(self, lease: RawObject) -> bool:
        spec = lease.get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        if holder in ("", self.identity):
            return True
        now = self._monotonic()
        seen = (holder, str(spec.get("renewTime") or ""))
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        duration_s = float(spec.get("leaseDurationSeconds") or self._settings.duration_s)
        return now - self._seen_at >= duration_s

    def _read(self) -> RawObject | None:
        try:
            lease: RawObject = call(
                self._api.read_namespaced_lease,
                self._settings.name,
                self._settings.namespace,
                timeout_s=self._settings.renew_s,
            )
        except WriteError as error:
            if error.outcome is ChangeOutcome.MISSING:
                return None
            raise
        return lease

    def _create(self) -> None:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._settings.name,
                "namespace": self._settings.namespace,
            },
            "spec": self._spec(0, fresh=True),
        }
        call(
            self._api.create_namespaced_lease,
            self._settings.namespace,
            body,
            timeout_s=self._settings.renew_s,
        )

    def _write(self, lease: RawObject, *, release: bool = False) -> None:
        before = lease.get("spec") or {}
        fresh = before.get("holderIdentity") != self.identity
        spec = self._spec(int(before.get("leaseTransitions") or 0) + fresh, fresh=fresh)
        if not fresh:
            spec["acquireTime"] = before.get("acquireTime") or spec["renewTime"]
        if release:
            spec["holderIdentity"] = ""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._settings.name,
                "namespace": self._settings.namespace,
                "resourceVersion": lease["metadata"]["resourceVersion"],
            },
            "spec": spec,
        }
        call(
            self._api.replace_namespaced_lease,
            self._settings.name,
            self._settings.namespace,
            body,
            timeout_s=self._settings.renew_s,
        )

    def _spec(self, transitions: int, *, fresh: bool) -> RawObject:
        now = datetime.now(UTC).strftime(_CLOCK)
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._settings.duration_s)),
            "renewTime": now,
            "leaseTransitions": transitions,
            **({"acquireTime": now} if fresh else {}),
        }

    def _release(self) -> None:
        """Give the Lease back, so that nobody has to wait for it."""
        if self._renewed_at is None:
            return
        try:
            lease = self._read()
            if lease is not None and lease["spec"].get("holderIdentity") == self.identity:
                self._write(lease, release=True)
        except WriteError:
            pass  # it runs out by itself
        self._lose()

    def _lose(self) -> None:
        with self._lock:
            self._renewed_at = None
        self._tell()

    def _tell(self) -> None:
        leads = self.holds()
        if leads is not self._was_leader:
            self._was_leader = leads
            self._changed(leads)
