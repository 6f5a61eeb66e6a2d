"""Whether a profile can be true: monotone, physical, identifiable, in the right units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from operator import attrgetter

from data.profile_document.values import ProfileDocument, ProfileFit, TimedOn
from profiler.judging.bounds import Roofline, loosest, precision_named
from profiler.judging.looseness import loose_ends
from profiler.judging.states import decode_ms, decode_states, falls, prefill_ms, prompt_sizes
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import AcceleratorSpec, Precision
from stoker.domain.curve import IterationTable
from stoker.domain.profile import EstimateKind, LinearParameters, ModelProfile
from stoker.domain.timing import CaseStatus, CaseTiming, IterationKind

ModelNamed = Callable[[str], ModelArchitecture | None]
CardNamed = Callable[[str], AcceleratorSpec | None]

SHORTEST_MS = 0.02
"""An iteration below this is shorter than launching its kernels takes."""

LONGEST_MS = 60_000.0
"""One that decodes a token for a minute is not in milliseconds."""

_LONGEST_PROMPT = 500.0
"""Decode iterations that 1,024 prompt tokens take at most: a CPU needs some 100, a GPU 3 to 10."""

_SLACK = 0.95
"""Share of a bound that figures may fall short of: clocks above the nominal, rounding."""

_LARGEST_CONDITION = 1e4
_FALL = 0.97
"""Times may fall by noise of 3%; measured ones also by their spread."""


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """The profile cannot be true, or is not what it says it is."""
    WARNING = "warning"
    """A reader should know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that speaks against a profile.

    Attributes:
        severity: How bad it is.
        rule: Which rule it breaks: `monotone`, `physical`, `identifiable`, `units`, `kind`.
        place: Where in the document.
        message: What is wrong, with figures.
    """

    severity: Severity
    rule: str
    place: str
    message: str


def check_document(
    document: ProfileDocument, model_named: ModelNamed, card_named: CardNamed
) -> tuple[Finding, ...]:
    """Return all that speaks against a document, errors first.

    Args:
        document: The document.
        model_named: Returns the architecture of a name; None where it is not known.
        card_named: Returns the card of a name; None where it is not known.
    """
    found: list[Finding] = []
    for index, profile in enumerate(document.profiles):
        fit = document.fit_of(index)
        place = f"profiles[{index}]"
        model, card = model_named(profile.model), card_named(profile.accelerator)
        found += _units(place, profile)
        found += _monotone(place, profile)
        found += _kind(place, profile, document, card_named)
        if model is not None and card is not None:
            found += _physical(place, profile, _told(document, fit), model, card)
        elif profile.provenance.kind is not EstimateKind.DECLARED:
            unknown = profile.model if model is None else profile.accelerator
            message = f"the catalogue does not know {unknown}: not compared with its roofline"
            found.append(Finding(Severity.WARNING, "physical", place, message))
    for index, fit in enumerate(document.fits):
        own = None if fit.profile is None else document.profiles[fit.profile]
        found += _identifiable(f"fits[{index}]", fit, own)
    found += _timings(document, model_named, card_named)
    return tuple(sorted(found, key=attrgetter("severity")))


def _told(document: ProfileDocument, fit: ProfileFit | None) -> Precision | None:
    """Return the format of the weights, as far as the document tells it."""
    if document.measured_on is not None:
        return precision_named(document.measured_on.model.weight_precision)
    told = None if fit is None else fit.deployment.get("precision")
    return precision_named(told) if isinstance(told, str) else None


def _units(place: str, profile: ModelProfile) -> Iterator[Finding]:
    states = [(1, 128)]
    step = decode_ms(profile.parameters, states)[0]
    if step < SHORTEST_MS:
        message = (
            f"a decode iteration of one sequence takes {step:.3g} ms: are times in seconds? "
            f"({SHORTEST_MS:g} ms or more)"
        )
        yield Finding(Severity.ERROR, "units", place, message)
    if step > LONGEST_MS:
        message = (
            f"a decode iteration of one sequence takes {step:,.0f} ms: are times in microseconds? "
            f"({LONGEST_MS:,.0f} ms or less)"
        )
        yield Finding(Severity.ERROR, "units", place, message)
    prompt = prefill_ms(profile.parameters, [1024])[0]
    if prompt > _LONGEST_PROMPT * step:
        message = (
            f"1,024 prompt tokens take {prompt:,.0f} ms, as long as {prompt / step:,.0f} decode "
            "iterations: are some times in other units?"
        )
        yield Finding(Severity.ERROR, "units", place, message)


def _monotone(place: str, profile: ModelProfile) -> Iterator[Finding]:
    if isinstance(profile.parameters, IterationTable):
        for words in falls(profile.parameters):
            yield Finding(Severity.ERROR, "monotone", f"{place}.parameters", words)


def _kind(
    place: str, profile: ModelProfile, document: ProfileDocument, card_named: CardNamed
) -> Iterator[Finding]:
    kind, on = profile.provenance.kind, document.measured_on
    where = f"{place}.provenance"
    if kind is EstimateKind.MEASURED:
        yield from _measured(where, profile, on, document, card_named)
    elif kind is EstimateKind.ESTIMATED and on is not None:
        message = "says estimated, beside iterations that were timed"
        yield Finding(Severity.WARNING, "kind", where, message)
    if kind is EstimateKind.FITTED and not profile.provenance.source:
        message = "is fitted, but names no source of its measurements"
        yield Finding(Severity.ERROR, "kind", where, message)
    if kind is EstimateKind.DECLARED:
        message = "tells no origin of its figures"
        yield Finding(Severity.WARNING, "kind", where, message)


def _measured(
    where: str,
    profile: ModelProfile,
    on: TimedOn | None,
    document: ProfileDocument,
    card_named: CardNamed,
) -> Iterator[Finding]:
    def error(message: str) -> Finding:
        return Finding(Severity.ERROR, "kind", where, message)

    if on is None:
        yield error("says measured, but the document does not tell on what (measured_on)")
        return
    if not any(item.status is CaseStatus.OK for item in document.timings):
        yield error("says measured, but the document holds no iteration that was timed")
    wanted, device = card_named(profile.accelerator), on.device
    names = {profile.accelerator.casefold(), *([wanted.name.casefold()] if wanted else [])}
    if not {device.accelerator.casefold(), device.name.casefold()} & names:
        told = device.accelerator or device.name
        yield error(f"is of {profile.accelerator}, but was timed on {told}")
    if not on.model.whole:
        layers = " and ".join(str(count) for count in on.model.layers_timed)
        message = f"{layers} of {on.model.layers} layers were timed, and the whole is scaled up"
        yield Finding(Severity.WARNING, "kind", where, message)


def _physical(
    place: str,
    profile: ModelProfile,
    weights: Precision | None,
    model: ModelArchitecture,
    card: AcceleratorSpec,
) -> Iterator[Finding]:
    units = profile.accelerators_per_replica
    narrow = weights is not None and weights.bytes_per_value <= 1
    bounds = [(Severity.ERROR, loosest(model, card, units), "weights of 4 bits")]
    if weights is not None:
        told = Roofline(model, card, units, weights, narrow=narrow)
        bounds = [(Severity.ERROR, told, f"{weights.value} weights")]
    else:
        released = model.weight_precision.value
        bounds.append((Severity.WARNING, Roofline(model, card, units), f"{released} weights"))
    for severity, bound, words in bounds:
        broken = next(_too_fast(profile, bound), None)
        if broken is not None:
            message = (
                f"{broken}, the least that {units} × {card.name} can take with {words} at its peak"
            )
            yield Finding(severity, "physical", place, message)
            return


def _too_fast(profile: ModelProfile, bound: Roofline) -> Iterator[str]:
    """Yield the states in which a profile is faster than a bound, in words."""
    states = decode_states(profile)
    if isinstance(profile.parameters, LinearParameters):
        states = [(batch, context) for batch, context in states if context <= states[0][1]]
    for (batch, context), time in zip(states, decode_ms(profile.parameters, states), strict=True):
        least = bound.decode_ms(batch, context)
        if time < _SLACK * least:
            yield (
                f"decoding {batch:,} sequences at a context of {context:,} takes {time:.3g} ms, "
                f"below {least:.3g} ms"
            )
    sizes = prompt_sizes(profile)
    for size, time in zip(sizes, prefill_ms(profile.parameters, sizes), strict=True):
        least = bound.prefill_ms(size)
        if time < _SLACK * least:
            yield f"computing {size:,} prompt tokens takes {time:.3g} ms, below {least:.3g} ms"


def _identifiable(place: str, fit: ProfileFit, profile: ModelProfile | None) -> Iterator[Finding]:
    if fit.refusal:
        severity = Severity.WARNING if fit.profile is None else Severity.ERROR
        yield Finding(severity, "identifiable", place, f"{fit.model}: {fit.refusal}")
        return
    if fit.condition_number is not None and fit.condition_number > _LARGEST_CONDITION:
        message = (
            f"{fit.model}: the condition number is {fit.condition_number:.3g}: the points hardly "
            f"tell the parameters apart ({_LARGEST_CONDITION:,.0f} or less)"
        )
        yield Finding(Severity.WARNING, "identifiable", place, message)
    if profile is None:
        return
    for name, (low, high) in fit.confidence.items():
        value = fit.parameters.get(name)
        if value is not None and not low <= value <= high:
            message = f"{name} is {value:g}, outside of its own interval {low:g} – {high:g}"
            yield Finding(Severity.ERROR, "identifiable", place, message)
    for name, ends, words, ratio in loose_ends(profile, fit.confidence):
        message = (
            f"{fit.model}: {name} is {ends[0]:.3g} to {ends[1]:.3g}, which moves {words} by a "
            f"factor of {ratio:.2g}: the measurements hardly tell it"
        )
        yield Finding(Severity.WARNING, "identifiable", place, message)


def _timings(
    document: ProfileDocument, model_named: ModelNamed, card_named: CardNamed
) -> Iterator[Finding]:
    on = document.measured_on
    if on is None:
        return
    model, card = model_named(on.model.name), card_named(on.device.accelerator or on.device.name)
    weights = precision_named(on.model.weight_precision)
    bound = None
    if model is not None and card is not None:
        narrow = weights is not None and weights.bytes_per_value <= 1
        bound = Roofline(model, card, on.device.count, weights, narrow=narrow)
    for index, item in enumerate(document.timings):
        if item.status is not CaseStatus.OK or item.median_ms is None:
            continue
        place = f"timings[{index}]"
        if bound is not None and (words := _timed_too_fast(item, bound)):
            yield Finding(Severity.ERROR, "physical", place, words)
        if item.outliers and len(item.outliers) * 2 >= len(item.samples_ms):
            message = f"{len(item.outliers)} of {len(item.samples_ms)} samples are outliers"
            yield Finding(Severity.WARNING, "monotone", place, message)
    yield from _falling(document)


def _timed_too_fast(item: CaseTiming, bound: Roofline) -> str:
    case, time = item.case, item.median_ms or 0.0
    least = 0.0
    if case.kind is IterationKind.DECODE:
        least = bound.decode_ms(case.decode_batch, case.context_tokens)
    elif case.kind is IterationKind.PREFILL and not case.prefix_tokens:
        least = bound.prefill_ms(case.prefill_tokens)
    if time >= _SLACK * least:
        return ""
    return f"took {time:.3g} ms, below {least:.3g} ms, the roofline of {bound.card.name}"


def _falling(document: ProfileDocument) -> Iterator[Finding]:
    """Yield the curves along which times fall by more than their spread."""
    for index, curve in enumerate(document.curves):
        points = zip(curve.at, curve.median_ms, curve.spread_ms, strict=True)
        for (at, low, spread), (after, high, other) in pairwise(points):
            if high < _FALL * low - (spread or 0.0) - (other or 0.0):
                message = (
                    f"{curve.kind.value} takes {low:.4g} ms at {at:,} and {high:.4g} ms at "
                    f"{after:,} of {curve.over}"
                )
                yield Finding(Severity.WARNING, "monotone", f"curves[{index}]", message)
