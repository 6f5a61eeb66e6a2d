"""The correction of profiles in one cycle: what was observed, learned, and is planned with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.correction.applying import ProfileReport, corrected_fleet, reports_of
from controller.correction.evidence import Evidence, evidence_of, running_profile
from controller.correction.learning import learn
from controller.correction.prediction import Predict, predict
from controller.correction.state import Corrections, ProfileKey
from controller.load import MeasuredLoad
from controller.memory import Memory
from stoker.domain.control.cluster import VariantState
from stoker.domain.control.observation import Observation
from stoker.domain.control.settings import ControlSettings
from stoker.domain.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a cycle knows of its profiles.

    Attributes:
        fleet: The fleet to plan.
        corrections: What to hand to the next cycle.
        reports: What to write down.
    """

    fleet: Fleet
    corrections: Corrections
    reports: tuple[ProfileReport, ...]


def correct(
    fleet: Fleet,
    observation: Observation,
    loads: Mapping[str, MeasuredLoad],
    variants: Mapping[str, tuple[VariantState, ...]],
    memory: Memory,
    settings: ControlSettings,
    predict: Predict = predict,
) -> Corrected:
    """Return the fleet with its profiles corrected; as it is, where that is switched off.

    Args:
        fleet: The document.
        observation: What was seen.
        loads: The load of every server.
        variants: Workloads that can be managed, by server.
        memory: What the last cycle handed on.
        settings: The rules.
        predict: The analysis.
    """
    if not settings.correction.enabled:
        return Corrected(fleet, memory.corrections, ())
    evidence: list[Evidence] = []
    remarks: dict[ProfileKey, dict[str, str]] = {}
    for server in fleet.servers:
        own = variants.get(server.name, ())
        found = evidence_of(
            fleet,
            server,
            observation.server(server.name),
            loads[server.name],
            own,
            memory.server(server.name),
            settings.metrics.window_s,
            observation.at,
        )
        if isinstance(found, Evidence):
            evidence.append(found)
        words = found.silent if isinstance(found, Evidence) else found
        profile = running_profile(fleet, server, own)
        if words and profile is not None:
            remarks.setdefault(ProfileKey.of(profile), {})[server.name] = words
    corrections = learn(
        memory.corrections,
        evidence,
        settings.correction.largest_factor,
        observation.at,
        predict,
    )
    return Corrected(
        corrected_fleet(fleet, corrections, settings.correction),
        corrections,
        reports_of(fleet, corrections, settings.correction, remarks),
    )
