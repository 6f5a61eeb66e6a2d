"""The load of the soak, and the fleet that carries it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from demos.cluster.closed_loop import Deployed, Setup
from demos.cluster.emulated import EmulatedWorkload
from demos.cluster.nodes import GpuNode
from emulator.load_phases import Constant, Load, Phase, Ramp, Sinus
from emulator.replica import ServedModel
from simulator import Engine, FixedLength, LognormalLength, SeparateLengths
from stoker.domain.profile import TokenWorkParameters

SERVER = "chat"
MODEL = "chat-8b"
TTFT_P95_MS, ITL_P95_MS = 1500.0, 60.0
COST_PER_HOUR = 3.0
LOW_RPS, HIGH_RPS = 10.0, 50.0

_TIMES = TokenWorkParameters(20.0, 0.12, 0.0008)
_MAX_BATCH = 136
_PRODUCT = "NVIDIA-H100-80GB-HBM3"
LOAD = {
    "arrival_rate_rps": 30.0,
    "input_tokens": 300.0,
    "input_tokens_cv": 0.5,
    "output_tokens": 120.0,
}
"""The load as one who knows it would write it down."""
_LENGTHS = SeparateLengths(
    LognormalLength(LOAD["input_tokens"], LOAD["input_tokens_cv"]),
    FixedLength(LOAD["output_tokens"]),
)

PERIOD_S, STARTUP_S = 30.0, 60.0
WINDOW_S, SCRAPE_S = 60.0, 5.0
DOWN_WINDOW_S, HISTORY_S = 90.0, 240.0
LEVEL_S, RAMP_S = 240.0, 540.0


class Shape(StrEnum):
    """How the load comes and goes, between the same rates in the same time."""

    RAMP = "ramp"
    """Level, up in a straight line, level, down in a straight line, level."""
    SINUS = "sinus"
    """Level in the middle, and then one wave: up, down, and back to the middle."""


class Rules(StrEnum):
    """What the loop is told beside its mode."""

    SHORT = "short"
    """Memory and windows for a load that comes and goes within half an hour."""
    DEFAULT = "default"
    """Nothing: every setting is the one that a control document leaves out."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a phase, as a phase of its own.

    Attributes:
        whole: The phase.
        start_s: Where in it this part begins.
        duration_s: How long it lasts.
    """

    whole: Phase
    start_s: float
    duration_s: float

    @property
    def peak_rps(self) -> float:
        """A rate that it never exceeds."""
        return self.whole.peak_rps

    def rate_rps(self, at_s: float) -> float:
        """Return the rate at a time from its start."""
        return self.whole.rate_rps(self.start_s + at_s)


@dataclass(frozen=True, slots=True)
class Soak:
    """The soak, its times divided by a factor.

    Attributes:
        speed: The factor; 1 for half an hour of 60 cycles. Default settings know no other.
        seed: Of times and lengths of the requests.
        shape: Of the load.
        rules: What the loop is told.
    """

    speed: float = 1.0
    seed: int = 0
    shape: Shape = Shape.RAMP
    rules: Rules = Rules.SHORT

    @property
    def phases(self) -> tuple[tuple[str, Phase], ...]:
        """The phases with their names."""
        level, ramp = LEVEL_S / self.speed, RAMP_S / self.speed
        if self.shape is Shape.RAMP:
            return (
                ("low", Constant(LOW_RPS, level)),
                ("rising", Ramp(LOW_RPS, HIGH_RPS, ramp)),
                ("high", Constant(HIGH_RPS, level)),
                ("falling", Ramp(HIGH_RPS, LOW_RPS, ramp)),
                ("low again", Constant(LOW_RPS, level)),
            )
        middle, span = (LOW_RPS + HIGH_RPS) / 2, (HIGH_RPS - LOW_RPS) / 2
        length = 2 * level + 2 * ramp
        wave = Sinus(middle, span, length, length)
        return (
            ("level", Constant(middle, level)),
            ("up to the crest", Stretch(wave, 0.0, length / 4)),
            ("down to the trough", Stretch(wave, length / 4, length / 2)),
            ("up to the level", Stretch(wave, 3 * length / 4, length / 4)),
        )

    @property
    def first_replicas(self) -> int:
        """Replicas before the loop begins: the fewest that carry the first level."""
        return {Shape.RAMP: 2, Shape.SINUS: 5}[self.shape]

    @property
    def load(self) -> Load:
        """All phases one after the other."""
        return Load(tuple(phase for _, phase in self.phases), _LENGTHS, self.seed)

    @property
    def startup_s(self) -> float:
        """Start-up time of a replica."""
        return STARTUP_S / self.speed

    @property
    def period_s(self) -> float:
        """Time from cycle to cycle."""
        return PERIOD_S / self.speed

    def setup(self) -> Setup:
        """Return the cluster to set up."""
        served = ServedModel(MODEL, Engine(_TIMES, _MAX_BATCH))
        return Setup(
            fleet_document(),
            control_document(self.speed, self.rules),
            (GpuNode("h100-a", _PRODUCT, 8), GpuNode("h100-b", _PRODUCT, 16)),
            (
                Deployed(
                    SERVER,
                    "H100",
                    _PRODUCT,
                    self.first_replicas,
                    EmulatedWorkload(SERVER, served, self.load),
                ),
            ),
            self.startup_s,
            SCRAPE_S / self.speed,
        )


def fleet_document() -> dict[str, Any]:
    """Return the fleet: one server on one type of card."""
    return {
        "version": 1,
        "currency": "USD",
        "accelerators": [{"name": "H100", "cost_per_hour": COST_PER_HOUR, "memory_gb": 80}],
        "capacity": {"H100": 24},
        "profiles": [
            {
                "model": MODEL,
                "accelerator": "H100",
                "max_batch": _MAX_BATCH,
                "at_tokens": 120,
                "parameters": {
                    "kind": "token-work",
                    "alpha_ms": _TIMES.alpha_ms,
                    "beta_ms": _TIMES.beta_ms,
                    "gamma_ms": _TIMES.gamma_ms,
                },
            }
        ],
        "service_classes": [
            {
                "name": "interactive",
                "priority": 1,
                "targets": [
                    {
                        "model": MODEL,
                        "ttft_ms": {"p95": TTFT_P95_MS},
                        "itl_ms": {"p95": ITL_P95_MS},
                    }
                ],
            }
        ],
        "servers": [
            {
                "name": SERVER,
                "service_class": "interactive",
                "model": MODEL,
                "load": "unknown",
                "min_replicas": 1,
            }
        ],
    }


def control_document(speed: float, rules: Rules) -> dict[str, Any]:
    """Return what the loop is told, with all its times divided by a factor."""
    if rules is Rules.DEFAULT:
        return {"loop": {"mode": "act"}}
    return {
        "loop": {
            "mode": "act",
            "period_s": PERIOD_S / speed,
            "deadline_s": PERIOD_S / speed,
        },
        "metrics": {
            "window_s": WINDOW_S / speed,
            "stale_s": 90.0 / speed,
            "fresh_replica_s": 60.0 / speed,
        },
        "forecast": {
            "method": "linear",
            "quantile": 0.8,
            "history_s": HISTORY_S / speed,
            "startup_s": STARTUP_S / speed,
        },
        "stability": {
            "scale_down_window_s": DOWN_WINDOW_S / speed,
            "cooldown_down_s": PERIOD_S / speed,
        },
    }
