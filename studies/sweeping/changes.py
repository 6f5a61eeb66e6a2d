"""Pure changes of a fleet: loads, targets, speeds, settings and rules.

Changes travel to other processes; `apply` returns another fleet, and never fails over a name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from stoker.domain.curve import IterationTable
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.profile import (
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
)
from stoker.domain.server import Server
from stoker.domain.settings import Analysis, QueueRule, SaturationPolicy, SolverKind
from stoker.domain.slo import PercentileTarget, ServiceClass, SloTarget
from stoker.domain.workload import Load
from studies.sweeping.hardware_changes import (
    CardsChange,
    LimitChange,
    PoolCardsChange,
    PoolPriceChange,
    PriceChange,
)
from studies.sweeping.server_changes import (
    ProfileChange,
    QuotaChange,
    ServerChange,
    SpreadChange,
    WeightChange,
)
from studies.sweeping.values import Value, new_figure

Pairs = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class LoadChange:
    """Change of a figure of loads; servers of unknown load keep it unknown.

    Attributes:
        field: Field of `Load`.
        servers: Names of the servers.
    """

    field: str
    servers: frozenset[str]

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with that figure of the loads."""

        def changed(server: Server) -> Server:
            if server.load is None or server.name not in self.servers:
                return server
            return replace(server, load=self._changed(server.load, value))

        return replace(fleet, servers=tuple(map(changed, fleet.servers)))

    def _changed(self, load: Load, value: Value) -> Load:
        figures: dict[str, float] = {self.field: new_figure(value, getattr(load, self.field))}
        return replace(load, **figures)


@dataclass(frozen=True, slots=True)
class LoadScale:
    """Arrival rates multiplied; an unknown load stays unknown.

    Attributes:
        servers: Names of the servers.
    """

    servers: frozenset[str]

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with those rates."""
        change = LoadChange("arrival_rate_rps", self.servers)
        return change.apply(fleet, Value(value.number, multiple=True))


@dataclass(frozen=True, slots=True)
class TargetScale:
    """All latency targets of some classes and models multiplied; TPS is no latency.

    Attributes:
        pairs: Class and model.
    """

    pairs: Pairs

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with those targets."""
        return _with_targets(fleet, self.pairs, lambda target: scaled_target(target, value))


def scaled_target(target: SloTarget, value: Value) -> SloTarget:
    """Return a target with all its latencies multiplied."""
    factor = value.number or 0.0

    def scaled(limit_ms: float | None) -> float | None:
        return None if limit_ms is None else limit_ms * factor

    return replace(
        target,
        ttft_ms=scaled(target.ttft_ms),
        itl_ms=scaled(target.itl_ms),
        e2e_ms=scaled(target.e2e_ms),
        percentiles=tuple(
            replace(item, limit_ms=item.limit_ms * factor) for item in target.percentiles
        ),
    )


@dataclass(frozen=True, slots=True)
class TargetChange:
    """Change of one target; a number is promised wherever it is not yet, a multiple is not.

    Attributes:
        pairs: Class and model.
        latency: The latency; None for output tokens per second.
        percentile: The percentile; None for the mean.
    """

    pairs: Pairs
    latency: Latency | None
    percentile: float | None = None

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with that target."""
        return _with_targets(fleet, self.pairs, lambda target: self._changed(target, value))

    def own(self, target: SloTarget) -> float | None:
        """Return what a target says of it now; None where nothing."""
        if self.latency is None:
            return target.tps
        limits = ((item.latency, item.percentile, limit) for item, limit in target.limits())
        wanted = (self.latency, self.percentile)
        return next((limit for *statistic, limit in limits if tuple(statistic) == wanted), None)

    def _changed(self, target: SloTarget, value: Value) -> SloTarget:
        own = self.own(target)
        if own is None and value.multiple:
            return target
        limit = new_figure(value, own or 0.0)
        if self.latency is None:
            return replace(target, tps=limit)
        if self.percentile is None:
            mean: dict[str, float] = {self.latency.value: limit}
            return replace(target, **mean)  # type: ignore[arg-type]  # a latency is a field's name
        promise = PercentileTarget(self.latency, self.percentile, limit)
        key = (self.latency, self.percentile)
        if own is None:
            return replace(target, percentiles=(*target.percentiles, promise))
        kept = tuple(
            promise if (item.latency, item.percentile) == key else item
            for item in target.percentiles
        )
        return replace(target, percentiles=kept)


def _with_targets(fleet: Fleet, pairs: Pairs, change: Callable[[SloTarget], SloTarget]) -> Fleet:
    def changed(item: ServiceClass) -> ServiceClass:
        targets = tuple(
            change(target) if (item.name, target.model) in pairs else target
            for target in item.targets
        )
        return replace(item, targets=targets)

    return replace(fleet, service_classes=tuple(map(changed, fleet.service_classes)))


@dataclass(frozen=True, slots=True)
class SpeedChange:
    """Engines made faster: all times that occupy them divided by a factor.

    Delays of first tokens outside the engine stay as they are.

    Attributes:
        pairs: Model and accelerator.
    """

    pairs: Pairs

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with profiles of that speed."""
        factor = value.number or 1.0

        def changed(item: ModelProfile) -> ModelProfile:
            if (item.model, item.accelerator) not in self.pairs:
                return item
            return replace(item, parameters=faster(item.parameters, factor))

        return replace(fleet, profiles=tuple(map(changed, fleet.profiles)))


def faster(parameters: ServiceParameters, factor: float) -> ServiceParameters:
    """Return parameters whose engine times are divided by a factor."""
    match parameters:
        case LinearParameters(alpha, beta, gamma, delta):
            return LinearParameters(alpha / factor, beta / factor, gamma / factor, delta / factor)
        case TokenWorkParameters(alpha, beta, gamma):
            return TokenWorkParameters(alpha / factor, beta / factor, gamma / factor)
        case OverlapParameters():
            return replace(
                parameters,
                base_ms=parameters.base_ms / factor,
                weights_ms=parameters.weights_ms / factor,
                token_ms=parameters.token_ms / factor,
                sequence_ms=parameters.sequence_ms / factor,
                kv_token_ms=parameters.kv_token_ms / factor,
                attention_ms=parameters.attention_ms / factor,
                prompts_ms=parameters.prompts_ms / factor,
            )
        case IterationTable():
            return replace(
                parameters,
                decode_ms=_divided(parameters.decode_ms, factor),
                prefill_ms=_divided(parameters.prefill_ms, factor),
                shared_ms=parameters.shared_ms / factor,
            )


def _divided(grid: tuple[tuple[float, ...], ...], factor: float) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(time / factor for time in row) for row in grid)


Choice = SolverKind | SaturationPolicy | Analysis | QueueRule | bool | str


@dataclass(frozen=True, slots=True)
class SettingChange:
    """Change of one of the optimizer's settings or of the planning rules.

    Attributes:
        field: Field of `OptimizerSettings` or `PlanningRules`.
        of_rules: Whether it is one of the rules.
        words: What a word stands for; nothing where the word itself is the value.
        whole: Whether a number is a whole one.
    """

    field: str
    of_rules: bool = False
    words: tuple[tuple[str, Choice | None], ...] = ()
    whole: bool = False

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        """Return the fleet with that setting."""
        new: object
        if value.number is None:
            new = dict(self.words).get(value.word, value.word)
        else:
            new = int(value.number) if self.whole else value.number
        given: dict[str, object] = {self.field: new}
        if self.of_rules:
            return replace(fleet, rules=replace(fleet.rules, **given))  # type: ignore[arg-type]
        return replace(fleet, settings=replace(fleet.settings, **given))  # type: ignore[arg-type]


Change = (
    LoadChange
    | LoadScale
    | PriceChange
    | CardsChange
    | PoolCardsChange
    | PoolPriceChange
    | LimitChange
    | TargetScale
    | TargetChange
    | SpeedChange
    | SettingChange
    | ServerChange
    | SpreadChange
    | QuotaChange
    | WeightChange
    | ProfileChange
)
"""Everything that a parameter may change."""


def changes_predictions(change: Change) -> bool:
    """Return whether a change can alter what a replica is predicted to carry.

    Prices, card counts and the optimizer's settings cannot, but for the choice of the analysis.
    """
    match change:
        case PriceChange() | CardsChange() | PoolCardsChange() | PoolPriceChange() | LimitChange():
            return False
        case SpreadChange() | QuotaChange() | WeightChange():
            return False
        case SettingChange(field="analysis"):
            return True
        case SettingChange(field=field, of_rules=of_rules):
            return of_rules and field != "transition_penalty"
    return True
