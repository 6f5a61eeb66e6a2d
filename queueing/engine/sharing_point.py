"""Analysis and targets of replicas that classes share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, columns
from queueing.engine.answer import engine_point, latency
from queueing.engine.correction import Corrector, Networks, careful, networks
from queueing.engine.decoding import Decoding, decoding
from queueing.engine.factors import Factors
from queueing.engine.first_token import ttft_mixture
from queueing.engine.mixtures import Mixture
from queueing.engine.point import PERCENTILES, Latency
from queueing.engine.routing import INDEPENDENT, fleet_scene
from queueing.engine.scene import Scene
from queueing.engine.sharing import Blend, SharedCases
from queueing.engine.sharing_scene import ClassScene, class_scenes
from queueing.engine.targets import EngineTargets
from queueing.engine.tokens import e2e_mixture, itl_mixture
from stoker.domain.routing import Router


class BlendFactors:
    """Corrections of the latencies of all classes: those of the blend, each as it is asked for.

    What the analysis misses is in how many are present and how they wait, which is common; what
    it makes of the lengths of one class would be unlike every example of the correction.
    """

    def __init__(self, scene: Scene, fitted: Networks | None = None) -> None:
        """Take the replica, its requests being the blend.

        Args:
            scene: the replica.
            fitted: networks of the correction; None for what is expected.
        """
        self._scene = scene
        self._known = Corrector(scene, fitted)

    @cached_property
    def ttft(self) -> Factors:
        """Of TTFT."""
        return self._known.ttft(self._first)

    @cached_property
    def itl(self) -> Factors:
        """Of ITL by request."""
        return self._known.itl(itl_mixture(self._decode), self._decode)

    @cached_property
    def e2e(self) -> Factors:
        """Of E2E."""
        whole = e2e_mixture(self._scene, self._decode, self._first)
        return self._known.e2e(whole, self._decode)

    @cached_property
    def _first(self) -> Mixture:
        return ttft_mixture(self._scene)

    @cached_property
    def _decode(self) -> Decoding:
        return decoding(self._scene)


@dataclass(frozen=True, slots=True, eq=False)
class CarefulFactors:
    """Corrections of the latencies of all classes that few exceed.

    Attributes:
        expected: what is expected.
        high: what few exceed.
    """

    expected: BlendFactors
    high: BlendFactors

    @classmethod
    def of(cls, scene: Scene) -> CarefulFactors:
        """Take the replica, its requests being the blend."""
        return cls(BlendFactors(scene), BlendFactors(scene, careful(networks())))

    def ttft(self, item: ClassScene) -> Factors:
        """Return those of TTFT of a class."""
        return item.own_factors(self.expected.ttft).above(self.expected.ttft, self.high.ttft)

    def itl(self) -> Factors:
        """Return those of ITL by request, of any class."""
        return self.expected.itl.above(self.expected.itl, self.high.itl)

    def e2e(self, item: ClassScene) -> Factors:
        """Return those of E2E of a class."""
        return item.own_factors(self.expected.e2e).above(self.expected.e2e, self.high.e2e)


@dataclass(frozen=True, slots=True, eq=False)
class ClassPoint:
    """What one class of each case gets; latencies are NaN where a case does not have the class.

    Attributes:
        ttft: time from arrival to first output token.
        itl: mean time between the output tokens of a request, by request.
        e2e: time from arrival to last output token.
    """

    ttft: Latency
    itl: Latency
    e2e: Latency


@dataclass(frozen=True, slots=True, eq=False)
class SharedPoint:
    """What replicas that classes share do; arrays (cases,), of one replica.

    Attributes:
        classes: what each class gets.
        saturation_rps: largest throughput of all classes together, at their shares.
        blocking: share of the offered requests that find the queue full.
        utilization: mean share of the batch limit in use.
        kv_use: mean share of the KV capacity in use; 0 where there is no limit.
        preemption_rate: preemptions per completed request.
        stable: whether the load is below saturation (or a finite queue sheds the rest).
    """

    classes: tuple[ClassPoint, ...]
    saturation_rps: FloatArray
    blocking: FloatArray
    utilization: FloatArray
    kv_use: FloatArray
    preemption_rate: FloatArray
    stable: BoolArray


def analyze_shared(
    shared: SharedCases,
    arrival_rate_rps: npt.ArrayLike,
    percentiles: tuple[float, ...] = PERCENTILES,
    *,
    replicas: npt.ArrayLike = 1.0,
    router: Router = Router.RANDOM,
    corrected: bool = True,
) -> SharedPoint:
    """Return what replicas that classes share do at arrival rates (requests per second).

    Args:
        shared: the replicas; their `arrival_cv` is that of the arrivals to all of them.
        arrival_rate_rps: of all classes together, to all replicas together.
        percentiles: of latencies, 0 to 100.
        replicas: replicas that each case has.
        router: how a request finds its replica.
        corrected: whether latencies are corrected (`queueing.engine.correction`); behind routers
            that look at the replicas they are not.
    """
    offered, count, _ = columns(arrival_rate_rps, replicas, np.zeros(len(shared)))
    with np.errstate(all="ignore"):
        blend = Blend.of(shared)
        scene = fleet_scene(blend.cases, count, router, np.maximum(offered, 1e-12) / 1e3)
        known = BlendFactors(scene) if corrected and router in INDEPENDENT else None
        whole = engine_point(scene, offered / count, (), known is not None)
        stable = shared.usable() & whole.stable
        scenes = class_scenes(shared, blend, scene)
        points = tuple(
            _class_point(item, known, percentiles, stable & (shared.share[index] > 0.0))
            for index, item in enumerate(scenes)
        )
        return SharedPoint(
            points,
            whole.saturation_rps,
            whole.blocking,
            whole.utilization,
            whole.kv_use,
            whole.preemption_rate,
            stable,
        )


def shared_excess(
    shared: SharedCases,
    targets: Sequence[EngineTargets],
    arrival_rate_rps: FloatArray,
    replicas: FloatArray,
    router: Router = Router.RANDOM,
) -> FloatArray:
    """Return how far replicas are beyond the worst target of any of their classes.

    Above 0 where a target is missed, minus infinity where there is none, NaN where that cannot be
    told. Latencies are corrected carefully, as for `queueing.engine.sizing`.

    Args:
        shared: the replicas; their `arrival_cv` is that of the arrivals to all of them.
        targets: of each class; a class that a case does not have has none there. The bound on
            blocking is that of the first class.
        arrival_rate_rps: of all classes together, to all replicas together.
        replicas: replicas of each case.
        router: how a request finds its replica.
    """
    with np.errstate(all="ignore"):
        blend = Blend.of(shared)
        scene = fleet_scene(
            blend.cases, replicas, router, np.maximum(arrival_rate_rps, 1e-12) / 1e3
        )
        known = CarefulFactors.of(scene) if router in INDEPENDENT else None
        limit = targets[0].max_blocking
        over = np.log(np.maximum(scene.blocking, 1e-300) / np.maximum(limit, 1e-300))
        worst = np.where(np.isnan(limit), -np.inf, over)
        for item, own in zip(class_scenes(shared, blend, scene), targets, strict=True):
            worst = np.maximum(worst, _class_excess(item, own, known))
        unstable = scene.states.load >= 1.0
        return np.where(unstable, np.inf, worst)


def _class_excess(
    item: ClassScene, targets: EngineTargets, known: CarefulFactors | None
) -> FloatArray:
    worst = np.full(len(targets), -np.inf)
    if targets.ttft or targets.e2e:
        first = item.ttft()
    if targets.ttft:
        factors = None if known is None else known.ttft(item)
        for target in targets.ttft:
            worst = np.maximum(worst, target.excess(first, factors))
    if targets.itl:
        gaps = item.itl()
        factors = None if known is None else known.itl()
        some = item.requests.steps > 1e-9
        for target in targets.itl:
            worst = np.maximum(worst, np.where(some, target.excess(gaps, factors), -np.inf))
    if targets.e2e:
        whole = item.e2e(first)
        factors = None if known is None else known.e2e(item)
        for target in targets.e2e:
            worst = np.maximum(worst, target.excess(whole, factors))
    return worst


def _class_point(
    item: ClassScene, known: BlendFactors | None, percentiles: tuple[float, ...], there: BoolArray
) -> ClassPoint:
    first = item.ttft()
    gaps, whole = item.itl(), item.e2e(first)
    bad = np.where(there, 0.0, np.nan)
    several = item.requests.steps > 1e-9
    ttft = latency(first, percentiles, bad)
    itl = latency(gaps, percentiles, np.where(several, bad, np.nan))
    e2e = latency(whole, percentiles, bad)
    if known is None:
        return ClassPoint(ttft, itl, e2e)
    ttft = item.own_factors(known.ttft).correct(ttft, percentiles)
    e2e = item.own_factors(known.e2e).correct(e2e, percentiles)
    itl = known.itl.correct(itl, percentiles)
    # Each is corrected by itself, so that nothing else keeps them in order.
    last = Latency(
        np.where(several, np.maximum(e2e.mean_ms, ttft.mean_ms), ttft.mean_ms),
        np.where(several, np.maximum(e2e.at_ms, ttft.at_ms), ttft.at_ms),
    )
    return ClassPoint(ttft, itl, last)
