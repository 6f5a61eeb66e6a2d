"""Systems of a prefill pool and a decode pool under an arrival rate (see `stations`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, columns
from queueing.engine.answer import engine_point, latency
from queueing.engine.cases import EngineCases
from queueing.engine.handover import Handover
from queueing.engine.point import PERCENTILES, EnginePoint, Latency
from queueing.engine.routing import check_replicas, of_all
from queueing.engine.stations import System, Transfer, handover_at
from stoker.domain.routing import Router


@dataclass(frozen=True, slots=True, eq=False)
class DisaggregatedPoint:
    """What systems of two pools do at an operating point; arrays (cases,).

    Attributes:
        percentiles: the percentiles of all latencies, 0 to 100.
        arrival_rate_rps: requests offered per second.
        throughput_rps: requests completed per second.
        saturation_rps: largest rate that both pools could carry.
        ttft: time from arrival to first output token.
        itl: mean time between the output tokens of a request, by request, the transfer counted.
        token_itl: time before an output token after the first, by token.
        e2e: time from arrival to last output token.
        prefill: the first pool; its `e2e` is its TTFT.
        decode: the second pool, whose requests arrive after the transfer; its `ttft` is the time
            to their second output token.
        prefill_load: offered rate over the largest throughput of the first pool.
        decode_load: the same of the second pool.
        utilization: mean share of the batch limits of both pools in use.
        stable: whether both pools are below saturation.
    """

    percentiles: tuple[float, ...]
    arrival_rate_rps: FloatArray
    throughput_rps: FloatArray
    saturation_rps: FloatArray
    ttft: Latency
    itl: Latency
    token_itl: Latency
    e2e: Latency
    prefill: EnginePoint
    decode: EnginePoint
    prefill_load: FloatArray
    decode_load: FloatArray
    utilization: FloatArray
    stable: BoolArray

    @property
    def bottleneck(self) -> npt.NDArray[np.str_]:
        """The pool with the higher load, "prefill" or "decode", array (cases,)."""
        return np.where(self.decode_load > self.prefill_load, "decode", "prefill")

    def whole(self) -> EnginePoint:
        """Return both pools as one system.

        Waiting is that for the prefill; requests whose KV travels are in neither pool. The memory
        of two kinds of replicas has no common share: its use is NaN.
        """
        first, second = self.prefill, self.decode
        going_on = second.throughput_rps / np.maximum(self.throughput_rps, 1e-300)
        return EnginePoint(
            percentiles=self.percentiles,
            arrival_rate_rps=self.arrival_rate_rps,
            throughput_rps=self.throughput_rps,
            saturation_rps=self.saturation_rps,
            blocking=first.blocking,
            wait=first.wait,
            ttft=self.ttft,
            itl=self.itl,
            token_itl=self.token_itl,
            e2e=self.e2e,
            mean_in_service=first.mean_in_service + second.mean_in_service,
            mean_in_system=first.mean_in_system + second.mean_in_system,
            utilization=self.utilization,
            kv_use=np.full(len(self.stable), np.nan),
            preemption_rate=first.preemption_rate + going_on * second.preemption_rate,
            stable=self.stable,
            extrapolated=first.extrapolated | second.extrapolated,
        )


def analyze_disaggregated(
    prefill: EngineCases,
    decode: EngineCases,
    prefill_replicas: npt.ArrayLike,
    decode_replicas: npt.ArrayLike,
    arrival_rate_rps: npt.ArrayLike,
    percentiles: tuple[float, ...] = PERCENTILES,
    *,
    transfer: Transfer | None = None,
    prefill_router: Router = Router.ROUND_ROBIN,
    decode_router: Router = Router.SHORTEST_QUEUE,
) -> DisaggregatedPoint:
    """Return what systems of a prefill and a decode pool do, one system a case.

    Args:
        prefill: a replica of the prefill pool, and the requests (see `System`).
        decode: a replica of the decode pool.
        prefill_replicas: replicas of the prefill pool, a whole number from 1.
        decode_replicas: the same of the decode pool.
        arrival_rate_rps: requests per second to all.
        percentiles: the percentiles of all latencies.
        transfer: the way of the KV from one pool to the other; none takes no time.
        prefill_router: how a request finds its prefill replica.
        decode_router: how it finds its decode replica.

    Raises:
        ValueError: a number of replicas is below 1 or not whole, or the cases differ in number.
    """
    count = len(prefill)
    if len(decode) != count:
        raise ValueError(f"{count} prefill cases and {len(decode)} decode cases: give one for each")
    offered, first, second, _ = columns(
        arrival_rate_rps, prefill_replicas, decode_replicas, np.zeros(count)
    )
    check_replicas(first, "prefill_replicas")
    check_replicas(second, "decode_replicas")
    system = System(
        prefill,
        decode,
        first,
        second,
        Transfer.of(count) if transfer is None else transfer,
        prefill_router,
        decode_router,
    )
    return analyze_system(system, offered, percentiles)


def analyze_system(
    system: System,
    arrival_rate_rps: npt.ArrayLike,
    percentiles: tuple[float, ...] = PERCENTILES,
) -> DisaggregatedPoint:
    """Return what systems of two pools do at arrival rates, requests per second to all."""
    offered, _ = columns(arrival_rate_rps, np.zeros(len(system.prefill)))
    with np.errstate(all="ignore"):
        handover = handover_at(system, np.maximum(offered, 1e-12) / 1e3)
        return _point(system, handover, offered, percentiles)


def _point(
    system: System,
    handover: Handover,
    offered_rps: FloatArray,
    percentiles: tuple[float, ...],
) -> DisaggregatedPoint:
    """Return the answer from both stations."""
    first, second = system.prefill_replicas, system.decode_replicas
    passing = handover.second.rate * 1e3
    prefill = of_all(engine_point(handover.first, offered_rps / first, percentiles), first)
    decode = of_all(engine_point(handover.second, passing, percentiles), second)
    stable = prefill.stable & decode.stable
    bad = np.where(stable, 0.0, np.inf)
    none = np.where(handover.steps > 1e-9, bad, np.nan)
    accepted = offered_rps * (1.0 - prefill.blocking)
    going_on = np.maximum(handover.answering, 1e-12)
    return DisaggregatedPoint(
        percentiles=percentiles,
        arrival_rate_rps=offered_rps,
        throughput_rps=accepted,
        saturation_rps=np.minimum(prefill.saturation_rps, decode.saturation_rps / going_on),
        ttft=latency(handover.first_token, percentiles, np.where(prefill.stable, 0.0, np.inf)),
        itl=latency(handover.itl(), percentiles, none),
        token_itl=latency(handover.token_itl(), percentiles, none),
        e2e=latency(handover.e2e(), percentiles, bad),
        prefill=prefill,
        decode=decode,
        prefill_load=offered_rps / prefill.saturation_rps,
        decode_load=decode.arrival_rate_rps / decode.saturation_rps,
        utilization=(prefill.mean_in_service + decode.mean_in_service)
        / (first * system.prefill.max_batch + second * system.decode.max_batch),
        stable=stable,
    )
