"""Settings, rules and limits that may vary, by the names they have in sweeps."""

from __future__ import annotations

from collections.abc import Mapping

from stoker.domain.limits import Survival
from stoker.domain.settings import Analysis, SaturationPolicy, SolverKind
from studies.sweeping.changes import Choice, SettingChange
from studies.sweeping.domains import WHOLE, Domain, limit, number, words
from studies.sweeping.hardware_changes import LimitChange

_BOOLEANS: tuple[tuple[str, Choice | None], ...] = (("true", True), ("false", False))
_BOOLEAN = words("true", "false")
SETTINGS: Mapping[str, tuple[SettingChange, Domain]] = {
    "solver": (
        SettingChange("solver", words=tuple((item.value, item) for item in SolverKind)),
        words(*(item.value for item in SolverKind)),
    ),
    "saturation_policy": (
        SettingChange(
            "saturation_policy", words=tuple((item.value, item) for item in SaturationPolicy)
        ),
        words(*(item.value for item in SaturationPolicy)),
    ),
    "analysis": (
        SettingChange("analysis", words=tuple((item.value, item) for item in Analysis)),
        words(*(item.value for item in Analysis)),
    ),
    "unlimited": (SettingChange("unlimited", words=_BOOLEANS), _BOOLEAN),
    "heterogeneous": (SettingChange("heterogeneous", words=_BOOLEANS), _BOOLEAN),
    "delayed_best_effort": (SettingChange("delayed_best_effort", words=_BOOLEANS), _BOOLEAN),
    "backend": (SettingChange("backend"), Domain(most=-1.0, words=None)),
    "time_limit_s": (SettingChange("time_limit_s"), number(0.0, above=True)),
    "relative_gap": (SettingChange("relative_gap"), number(0.0, 1.0)),
    "exact_servers": (
        SettingChange("exact_servers", whole=True),
        WHOLE,
    ),
    "class_weight_ratio": (SettingChange("class_weight_ratio"), number(1.0)),
    "max_blocking": (
        SettingChange("max_blocking", of_rules=True, words=(("none", None),)),
        Domain(most=1.0, multiples=False, words=("none",)),
    ),
    "transition_penalty": (SettingChange("transition_penalty", of_rules=True), number(0.0)),
}
LIMITS: Mapping[str, tuple[LimitChange, Domain]] = {
    "budget": (LimitChange("budget_per_hour"), limit()),
    "power_w": (LimitChange("power_w"), limit()),
    "max_spot_share": (LimitChange("max_spot_share"), limit(1.0)),
    "max_replicas": (LimitChange("max_replicas", whole=True), limit(whole=True)),
    "max_changes": (LimitChange("max_changes", whole=True), limit(whole=True)),
    "replica_start_s": (LimitChange("replica_start_s"), number(0.0, 86_400.0)),
    "surge": (LimitChange("surge", of_headroom=True), number(1.0, 1000.0)),
    "survive": (
        LimitChange("survive", of_headroom=True),
        words("none", *(item.value for item in Survival)),
    ),
}
