"""Schema of Stoker's own fleet format: types, bounds and what each key means."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from data.configuration_fields import (
    DisaggregatedEntry,
    ParallelEntry,
    RouterName,
    ServingName,
    SliceEntry,
)
from data.curve_fields import CurveEntry
from data.fields import (
    Amount,
    Count,
    Fraction,
    Name,
    PositiveAmount,
    PositiveCount,
    StrictModel,
)
from data.latency_fields import CoefficientOfVariation, LatencyTarget
from data.model_fields import Allowed
from data.node_fields import NodeEntry
from data.overlap_fields import OverlapEntry
from data.pool_fields import LimitsEntry, ObjectiveEntry, PoolEntry
from data.sharing_fields import SharingEntry
from data.stoker_example import EXAMPLE
from data.stoker_settings import OptimizerEntry, RulesEntry
from stoker.domain.profile import DEFAULT_TOKEN_BUDGET
from stoker.domain.slo import HIGHEST_PRIORITY, LOWEST_PRIORITY

FORMAT_VERSION = 1

AUTO = "auto"
"""What stands for a batch limit that is chosen."""


class Power(StrictModel):
    """Electrical power of one unit against its utilization, through three points."""

    idle_w: Amount = Field(description="Watts at utilization 0.")
    mid_w: Amount = Field(description="Watts at `mid_utilization`.")
    full_w: Amount = Field(description="Watts at utilization 1.")
    mid_utilization: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Utilization of the middle point."
    )


class AcceleratorEntry(StrictModel):
    """An accelerator configuration: one or more cards of a type, rented as one unit."""

    name: Name = Field(description="Unique name.", examples=["4xA100"])
    card_type: Name | None = Field(
        None, description="Type of the cards, as in `capacity`; the name, where left out."
    )
    cards: PositiveCount = Field(1, description="Cards in one unit.")
    cost_per_hour: Amount = Field(description="Price of one unit per hour, in `currency`.")
    memory_gb: PositiveAmount | None = Field(None, description="Memory of one unit, in GB.")
    memory_bandwidth_gb_per_s: PositiveAmount | None = Field(
        None, description="Memory bandwidth of one unit, in GB/s."
    )
    power: Power | None = Field(None, description="Power of one unit; left out where unknown.")
    slice: SliceEntry | None = Field(
        None, description="Which part of a card one unit is; left out of whole cards."
    )


class LinearEntry(StrictModel):
    """With n requests in service and L input tokens: prefill γ + δ·L·n, decode step α + β·n."""

    kind: Literal["linear"]
    alpha_ms: Amount = Field(description="Decode step without any request, in ms.")
    beta_ms: Amount = Field(description="Decode step, added by each request, in ms.")
    gamma_ms: Amount = Field(description="Prefill without any token, in ms.")
    delta_ms: Amount = Field(description="Prefill, added by each input token and request, in ms.")


class TokenWorkEntry(StrictModel):
    """One iteration: α + β·(tokens computed) + γ·(KV tokens read)."""

    kind: Literal["token-work"]
    alpha_ms: Amount = Field(description="Iteration without any token, in ms.")
    beta_ms: Amount = Field(description="Added by each token computed, in ms.")
    gamma_ms: Amount = Field(description="Added by each KV token read, in ms.")


class ProvenanceEntry(StrictModel):
    """Where the figures of a profile come from."""

    kind: Literal["measured", "fitted", "estimated", "declared"] = Field(
        "declared", description="How they were obtained; `declared`: not told."
    )
    source: str = Field("", description="Where from, in words.")


class ProfileEntry(StrictModel):
    """How fast one replica of a model runs on an accelerator, in one configuration of it."""

    model: Name = Field(description="Name of the model.", examples=["llama_13b"])
    accelerator: Name = Field(description="Name of an entry of `accelerators`.")
    configuration: Name | None = Field(
        None,
        description="Name that tells it from other profiles of the model on the accelerator.",
        examples=["tp2", "fp8"],
    )
    parallel: ParallelEntry | None = Field(
        None, description="Degrees of parallelism; left out where they are not told."
    )
    accelerators_per_replica: PositiveCount | None = Field(
        None,
        description="Units that a replica takes; what `parallel` takes, or 1, where left out.",
    )
    max_batch: PositiveCount = Field(
        description="Largest number of requests in service, with `at_tokens` output tokens each."
    )
    at_tokens: PositiveCount = Field(description="Output tokens at which `max_batch` holds.")
    parameters: Annotated[
        LinearEntry | TokenWorkEntry | CurveEntry | OverlapEntry, Field(discriminator="kind")
    ] = Field(description="Parameters of the service model.")
    provenance: ProvenanceEntry | None = Field(None, description="Where the figures come from.")
    required_memory_gb: PositiveAmount | None = Field(
        None, description="Memory that a replica needs before its first request, in GB."
    )
    kv_tokens: PositiveCount | None = Field(
        None, description="Tokens that the KV memory of a replica holds; no limit, if left out."
    )
    token_budget: PositiveCount = Field(
        DEFAULT_TOKEN_BUDGET, description="Tokens that one iteration computes at most."
    )
    disaggregated: DisaggregatedEntry | None = Field(
        None,
        description="How its replicas may decode for a prefill pool; left out where they may not.",
    )


class TargetEntry(StrictModel):
    """What a service class promises for a model. A figure left out promises nothing."""

    model: Name = Field(description="Name of the model.")
    ttft_ms: LatencyTarget = Field(
        None,
        description="Largest time to first token, in ms: of the mean (a number), or by statistic.",
        examples=[500, {"p95": 800}],
    )
    itl_ms: LatencyTarget = Field(
        None,
        description="Largest inter-token latency of a request (the mean of its own), in ms: of "
        "the mean over requests (a number), or by statistic.",
        examples=[25, {"mean": 25, "p99": 40}],
    )
    e2e_ms: LatencyTarget = Field(
        None,
        description="Largest time from arrival to last token, in ms: of the mean (a number), or "
        "by statistic. Known to the analysis `full` alone.",
        examples=[{"p90": 20000}],
    )
    tps: PositiveAmount | None = Field(
        None, description="Output tokens per second that must be deliverable, over all replicas."
    )


class ServiceClassEntry(StrictModel):
    """A class of service."""

    name: Name = Field(description="Unique name.", examples=["Premium"])
    priority: Annotated[int, Field(ge=HIGHEST_PRIORITY, le=LOWEST_PRIORITY)] = Field(
        description="1 is served first, 100 last."
    )
    targets: list[TargetEntry] = Field(description="One target a model.")


class LoadEntry(StrictModel):
    """Offered load, over all replicas; the rate in one of its two units."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["arrival_rate_rps"]}, {"required": ["arrival_rate_rpm"]}]
        }
    )

    arrival_rate_rps: Amount | None = Field(None, description="Requests per second.")
    arrival_rate_rpm: Amount | None = Field(None, description="Requests per minute.")
    input_tokens: Amount = Field(description="Mean input tokens of a request.")
    output_tokens: Amount = Field(description="Mean output tokens of a request.")
    throughput_rps: Amount | None = Field(
        None, description="Requests completed per second, where observed; informative."
    )
    arrival_cv: CoefficientOfVariation = Field(
        1.0,
        description="Coefficient of variation of the times between requests, over all replicas; "
        "1 is Poisson.",
    )
    input_tokens_cv: CoefficientOfVariation = Field(
        0.0, description="Coefficient of variation of the input tokens; 0 is a fixed length."
    )
    output_tokens_cv: CoefficientOfVariation = Field(
        0.0, description="Coefficient of variation of the output tokens; 0 is a fixed length."
    )
    prefix_hit_rate: Fraction = Field(
        0.0, description="Share of the input tokens whose KV is in the prefix cache already."
    )


class AllocationEntry(StrictModel):
    """What runs for a server, or was decided for it."""

    accelerator: Name | None = Field(
        description="Name of an entry of `accelerators`; null for nothing at all."
    )
    configuration: Name | None = Field(
        None, description="Configuration of the model there; may be left out of a single one."
    )
    replicas: Count = Field(description="Number of replicas.")
    prefill_replicas: Count = Field(
        0, description="How many of them compute prompts for the others."
    )
    pools: dict[Name, PositiveCount] | None = Field(
        None, description="Replicas by name of the pool that they stand in, all of them."
    )
    max_batch: PositiveCount | None = Field(None, description="Batch limit of a replica.")
    cost_per_hour: Amount | None = Field(
        None, description="Cost of all replicas per hour; worked out, where left out."
    )
    itl_ms: PositiveAmount | None = Field(None, description="Mean inter-token latency, in ms.")
    ttft_ms: PositiveAmount | None = Field(None, description="Mean time to first token, in ms.")
    load: LoadEntry | None = Field(None, description="The load it was decided for.")


def _batch_tag(value: object) -> str:
    if isinstance(value, list):
        return "limits"
    return AUTO if value == AUTO else "limit"


def _load_tag(value: object) -> str:
    return "unknown" if value == "unknown" else "load"


class ServerEntry(StrictModel):
    """A model served to a service class: what is planned for."""

    name: Name = Field(description="Unique name.", examples=["chat"])
    service_class: Name = Field(description="Name of an entry of `service_classes`.")
    model: Name = Field(description="Name of a model that has a profile.")
    load: Annotated[
        Annotated[LoadEntry, Tag("load")] | Annotated[Literal["unknown"], Tag("unknown")],
        Discriminator(_load_tag),
        Allowed(
            "arrival_rate_rps or arrival_rate_rpm with input_tokens and output_tokens, "
            "or the word unknown"
        ),
    ] = Field(description="Offered load, or the word `unknown`.")
    keep_accelerator: bool = Field(False, description="Stay on the accelerator of `current`.")
    min_replicas: Count = Field(0, description="Smallest number of replicas, also without load.")
    max_replicas: PositiveCount | None = Field(None, description="Largest number of replicas.")
    router: RouterName = Field(
        "random",
        description="How a request finds its replica: any of them, one after the other, the one "
        "with the fewest requests, or the one with the least KV memory in use. All but `random` "
        "are known to the analysis `full` alone.",
    )
    max_batch: Annotated[
        Annotated[PositiveCount | None, Tag("limit")]
        | Annotated[list[PositiveCount], Field(min_length=1), Tag("limits")]
        | Annotated[Literal["auto"], Tag(AUTO)],
        Discriminator(_batch_tag),
        Allowed("a whole number, at least 1; a list of them; or the word auto"),
    ] = Field(
        None,
        description="Batch limit; derived from the profile, where left out. `auto`: with each "
        "accelerator the one, up to that, with which a replica carries the most within the "
        "targets; known to the analysis `full` alone. A list: one of them, chosen together with "
        "everything else.",
        examples=[64, [16, 32, 64], AUTO],
    )
    serving: Annotated[list[ServingName], Field(min_length=1)] = Field(
        ["aggregated"],
        description="Ways of serving to choose from: prefill and decode on the same replicas, or "
        "on two pools. `disaggregated` is known to the analysis `full` alone.",
        examples=[["aggregated", "disaggregated"]],
    )
    max_queue: Count | None = Field(
        None, description="Requests that may wait at a replica; by `rules`, where left out."
    )
    current: AllocationEntry | None = Field(None, description="What runs now.")
    desired: AllocationEntry | None = Field(
        None, description="What was decided last and not yet applied."
    )
    pools: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None, description="The only pools that it may use; all, where left out."
    )
    prefer_pools: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None,
        description="Pools to fill before others are used, in this order. Nobody goes unserved "
        "for it.",
    )
    spread_zones: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Zones that its replicas stand in at least; 1, where left out."
    )
    max_zone_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Largest share of its replicas in one zone."
    )
    max_spot_share: Fraction | None = Field(
        None, description="Largest share of its replicas on spot cards; by `limits`, if left out."
    )


class FleetEntry(StrictModel):
    """A fleet: hardware, models, promises and load.

    One YAML or JSON document, or a directory of them whose sections are joined.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    version: Annotated[int, Field(ge=FORMAT_VERSION, le=FORMAT_VERSION), Allowed("1")] = Field(
        description="Version of this format."
    )
    name: str = Field("", description="Name of the fleet, for titles.")
    source: str = Field("", description="Where its figures come from, in words.")
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$"), Allowed("three capital letters")] = Field(
        description="Currency of all costs, by its ISO 4217 code.", examples=["USD"]
    )
    accelerators: list[AcceleratorEntry] = Field(description="Accelerator configurations.")
    capacity: dict[Name, Count] | None = Field(
        None,
        description="Cards available, by card type. May be left out of an unlimited fleet.",
        examples=[{"A100": 192, "H100": 128}],
    )
    profiles: list[ProfileEntry] = Field(description="Performance of models on accelerators.")
    service_classes: list[ServiceClassEntry] = Field(description="Service classes.")
    servers: list[ServerEntry] = Field(description="What to plan for.")
    optimizer: OptimizerEntry | None = Field(None, description="Settings of the optimizer.")
    rules: RulesEntry | None = Field(None, description="Rules of sizing.")
    pools: list[PoolEntry] | None = Field(
        None,
        description="Cards by place and price. A card type is counted here or in `capacity`.",
    )
    quotas: dict[Name, Count] | None = Field(
        None, description="Cards that the pools of each quota group may give at most, together."
    )
    limits: LimitsEntry | None = Field(None, description="Bounds on the plan as a whole.")
    objectives: Annotated[list[ObjectiveEntry], Field(min_length=1)] | None = Field(
        None,
        description="What the plan is to be best at, below priorities: in this order, or with "
        "weights their sum; cost alone, where left out.",
    )
    analysis: Literal["reference", "full"] | None = Field(
        None, description="Performance model behind the figures."
    )
    nodes: list[NodeEntry] | None = Field(
        None,
        description="The machines that hold the cards. A card type that is counted neither in "
        "`capacity` nor in `pools` has as many cards as are free on its nodes.",
    )
    sharing: list[SharingEntry] | None = Field(
        None, description="Servers that may share replicas, where that is cheaper."
    )
