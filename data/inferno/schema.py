"""Schema of Inferno's system data, in the reference's spelling of keys.

Zero stands for "not given" in most of its numbers, and every key may be left out where the
reference has a use for its zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field

from data.fields import Count, Fraction, Name, PositiveCount, StrictModel
from data.model_fields import Allowed
from stoker.domain.settings import SaturationPolicy
from stoker.domain.slo import HIGHEST_PRIORITY, LOWEST_PRIORITY

DEFAULT_CLASS = "Free"
"""Class of a server that names none."""

Amount = Annotated[float, Field(ge=0, le=1e14)]
"""A quantity in the reference's units: cents, requests per minute, milliseconds."""

_POLICIES = {policy.value.casefold(): policy.value for policy in SaturationPolicy}


class InfernoModel(StrictModel):
    """Base of the schemas.

    Attributes:
        informative: Further keys that files of this family hold; they steer nothing and are
            passed over.
        empty_only: Keys of earlier versions that are passed over where they are zero.
    """

    informative: ClassVar[frozenset[str]] = frozenset()
    empty_only: ClassVar[frozenset[str]] = frozenset()


class InfernoPower(InfernoModel):
    """Power of an accelerator, in watts."""

    idle: Amount = 0.0
    full: Amount = 0.0
    mid_power: Amount = Field(0.0, alias="midPower")
    mid_util: Fraction = Field(0.0, alias="midUtil")


class InfernoAccelerator(InfernoModel):
    """An accelerator; its cost in cents per hour."""

    name: Name
    type: Name
    multiplicity: PositiveCount = 1
    mem_size: Amount = Field(0.0, alias="memSize")
    mem_bw: Amount = Field(0.0, alias="memBW")
    power: InfernoPower | None = None
    cost: Amount


class InfernoCount(InfernoModel):
    """Cards available of a type."""

    type: Name
    count: Count


class InfernoDecode(InfernoModel):
    """Decode parameters of the `linear` model."""

    alpha: Amount
    beta: Amount


class InfernoPrefill(InfernoModel):
    """Prefill parameters of the `linear` model."""

    gamma: Amount
    delta: Amount


class InfernoPerf(InfernoModel):
    """Parameters of the `token-work` model."""

    alpha: Amount
    beta: Amount
    gamma: Amount


class InfernoModelPerf(InfernoModel):
    """Performance of a model on an accelerator."""

    name: Name
    acc: Name
    acc_count: Count = Field(1, alias="accCount")
    max_batch_size: Count = Field(0, alias="maxBatchSize")
    at_tokens: Count = Field(0, alias="atTokens")
    decode_parms: InfernoDecode | None = Field(None, alias="decodeParms")
    prefill_parms: InfernoPrefill | None = Field(None, alias="prefillParms")
    perf_parms: InfernoPerf | None = Field(None, alias="perfParms")


class InfernoTarget(InfernoModel):
    """Targets of a class for a model; 0: none."""

    empty_only = frozenset({"slo-ttw"})

    model: Name
    slo_itl: Amount = Field(0.0, alias="slo-itl")
    slo_ttft: Amount = Field(0.0, alias="slo-ttft")
    slo_tps: Amount = Field(0.0, alias="slo-tps")


class InfernoServiceClass(InfernoModel):
    """A service class."""

    name: Name
    priority: Annotated[int, Field(ge=HIGHEST_PRIORITY, le=LOWEST_PRIORITY)]
    model_targets: list[InfernoTarget] = Field([], alias="modelTargets")


class InfernoLoad(InfernoModel):
    """Offered load; rates per minute."""

    informative = frozenset({"arrivalCOV", "serviceCOV"})

    arrival_rate: Amount = Field(alias="arrivalRate")
    throughput: Amount = 0.0
    avg_in_tokens: Amount = Field(alias="avgInTokens")
    avg_out_tokens: Amount = Field(alias="avgOutTokens")


class InfernoAllocation(InfernoModel):
    """An allocation; its cost in cents per hour. No accelerator: an empty one."""

    informative = frozenset({"waitAverage", "rho", "value", "maxRPM", "saturated", "mix"})

    accelerator: str = ""
    num_replicas: Count = Field(0, alias="numReplicas")
    max_batch: Count = Field(0, alias="maxBatch")
    cost: Amount = 0.0
    itl_average: Amount = Field(0.0, alias="itlAverage")
    ttft_average: Amount = Field(0.0, alias="ttftAverage")
    load: InfernoLoad | None = None


def _class_name(value: object) -> object:
    return DEFAULT_CLASS if value == "" else value


class InfernoServer(InfernoModel):
    """A server."""

    name: Name
    service_class: Annotated[Name, BeforeValidator(_class_name)] = Field(
        DEFAULT_CLASS, alias="class"
    )
    model: Name
    keep_accelerator: bool = Field(False, alias="keepAccelerator")
    min_num_replicas: Count = Field(0, alias="minNumReplicas")
    max_batch_size: Count = Field(0, alias="maxBatchSize")
    max_queue_size: Count = Field(0, alias="maxQueueSize")
    current_alloc: InfernoAllocation | None = Field(None, alias="currentAlloc")
    desired_alloc: InfernoAllocation | None = Field(None, alias="desiredAlloc")


def _policy(value: object) -> object:
    """Return a policy by its own spelling; the empty text is the reference's default."""
    if isinstance(value, str):
        return _POLICIES.get(value.casefold() or "none", value)
    return value


class InfernoOptimizer(InfernoModel):
    """Flags of the optimizer; `milpSolver` left out leaves the choice open."""

    unlimited: bool = False
    heterogeneous: bool = False
    milp_solver: bool | None = Field(None, alias="milpSolver")
    use_cplex: bool = Field(False, alias="useCplex")
    delayed_best_effort: bool = Field(False, alias="delayedBestEffort")
    saturation_policy: Annotated[
        Literal["None", "PriorityExhaustive", "PriorityRoundRobin", "RoundRobin"],
        BeforeValidator(_policy),
        Allowed(", ".join(_POLICIES.values())),
    ] = Field("None", alias="saturationPolicy")


class InfernoAccelerators(InfernoModel):
    """Content of ``accelerator-data.json``."""

    accelerators: list[InfernoAccelerator]


class InfernoCapacities(InfernoModel):
    """Content of ``capacity-data.json``."""

    count: list[InfernoCount]


class InfernoModels(InfernoModel):
    """Content of ``model-data.json``."""

    models: list[InfernoModelPerf]


class InfernoServiceClasses(InfernoModel):
    """Content of ``serviceclass-data.json``."""

    service_classes: list[InfernoServiceClass] = Field(alias="serviceClasses")


class InfernoServers(InfernoModel):
    """Content of ``server-data.json``."""

    servers: list[InfernoServer]


class InfernoOptimizerData(InfernoModel):
    """Content of ``optimizer-data.json``."""

    optimizer: InfernoOptimizer = InfernoOptimizer()


class InfernoSystem(InfernoModel):
    """A whole system. A type without a count has no cards; flags left out are false."""

    accelerator_data: InfernoAccelerators = Field(alias="acceleratorData")
    capacity_data: InfernoCapacities = Field(InfernoCapacities(count=[]), alias="capacityData")
    model_data: InfernoModels = Field(alias="modelData")
    service_class_data: InfernoServiceClasses = Field(alias="serviceClassData")
    server_data: InfernoServers = Field(alias="serverData")
    optimizer_data: InfernoOptimizerData = Field(InfernoOptimizerData(), alias="optimizerData")


class InfernoDocument(InfernoModel):
    """A file with a whole system."""

    model_config = ConfigDict(title="Inferno system")

    system: InfernoSystem


AnyInferno = TypeVar("AnyInferno", bound=InfernoModel)


def to_json(model: InfernoModel) -> dict[str, object]:
    """Return an object as JSON in the reference's spelling.

    Whole numbers carry no decimal point (the reference decodes many of them into integers), and
    what is unknown is left out.
    """
    plain = _whole(model.model_dump(by_alias=True, exclude_none=True))
    assert isinstance(plain, dict)  # a model is dumped as a mapping
    return plain


def _whole(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
