"""From a profile document to its values, or to all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from data.configuration_checks import check_configurations, profile_key
from data.decode import Decoded, read_document
from data.document import Document, entries
from data.measurements.rows import measurement_of_entry
from data.name_checks import repeated
from data.problems import Finding, findings_from_validation
from data.profile_document.schema import (
    DOCUMENT_KIND,
    FitEntry,
    IntervalsEntry,
    MeasuredOnEntry,
    ProfileDocumentEntry,
    TimedCurveEntry,
    TimingEntry,
)
from data.profile_document.values import (
    FitIntervals,
    Grid,
    ProfileDocument,
    ProfileFit,
    TimedCurve,
    TimedOn,
)
from data.stoker_reading import profile_from_entry
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import all_zero
from stoker.domain.timing import (
    CaseStatus,
    CaseTiming,
    IterationCase,
    IterationKind,
    TimedDevice,
    TimedMemory,
    TimedModel,
)

_ALLOWED = "a mapping with a list of profiles, as in a fleet document"


def is_profile_document(value: object) -> bool:
    """Return whether a decoded document says that it is one of profiles."""
    return isinstance(value, dict) and value.get("document") == DOCUMENT_KIND


def read_profile_document(path: Path) -> ProfileDocument:
    """Return the profile document of a file, YAML or (``.json``) JSON.

    Raises:
        InvalidInputError: The file cannot be read, or all that is wrong with its content.
    """
    return parse_profile_document(read_document(path), str(path))


def parse_profile_document(decoded: Decoded, file: str = "") -> ProfileDocument:
    """Return the values of a decoded document.

    A document that does not say `document: profiles`, such as a fleet, gives its profiles alone;
    all else in it is passed over.

    Raises:
        InvalidInputError: Every problem, in document order.
    """
    value = decoded.value
    if not is_profile_document(value):
        if not isinstance(value, dict) or not value.get("profiles"):
            raise InvalidInputError([Problem("profiles", "is missing", _ALLOWED, file)])
        value = {"version": 1, "document": DOCUMENT_KIND, "profiles": value["profiles"]}
    document = Document.single(value, file, decoded.findings)
    entry: ProfileDocumentEntry | None = None
    findings: list[Finding] = []
    try:
        entry = ProfileDocumentEntry.model_validate(value)
    except ValidationError as error:
        findings += findings_from_validation(error, ProfileDocumentEntry)
    findings += _across(document)
    document.refuse_if(findings)
    assert entry is not None  # no entry without findings, and those were raised
    found, wrong = _document(entry)
    document.refuse_if(wrong)
    return found


def _across(document: Document) -> Iterator[Finding]:
    """Yield what is wrong between the entries of a document."""
    value = document.value
    assert isinstance(value, dict)
    pairs = [
        (loc, *key) for loc, entry in entries(value, "profiles") if (key := profile_key(entry))
    ]
    yield from repeated(document, pairs)
    yield from check_configurations(value)
    profiles = value.get("profiles")
    count = len(profiles) if isinstance(profiles, list) else 0
    for loc, fit in entries(value, "fits"):
        index = fit.get("profile")
        if isinstance(index, int) and not isinstance(index, bool) and index >= count:
            allowed = f"from 0 to {count - 1}" if count else "null: there are no profiles"
            yield Finding((*loc, "profile"), f"there is no profile {index}", allowed)
    if value.get("timings") and value.get("measured_on") is None:
        yield Finding(
            ("timings",), "there is no word of what timed them", "timings with measured_on"
        )


def _document(entry: ProfileDocumentEntry) -> tuple[ProfileDocument, list[Finding]]:
    """Return the document of an entry, and what is wrong between its values."""
    wrong: list[Finding] = []
    profiles = tuple(profile_from_entry(item, {}) for item in entry.profiles)
    for index, profile in enumerate(profiles):
        if all_zero(profile.parameters):
            message = "every time is zero, which describes no hardware"
            wrong.append(
                Finding(("profiles", index, "parameters"), message, "at least one above 0")
            )
    for index, timing in enumerate(entry.timings):
        wrong += _wrong_timing(("timings", index), timing)
    for index, curve in enumerate(entry.curves):
        lengths = (curve.at, curve.median_ms, curve.spread_ms, curve.tokens_per_s)
        if len({len(values) for values in lengths}) > 1:
            message = "at, median_ms, spread_ms and tokens_per_s are of different lengths"
            wrong.append(Finding(("curves", index), message, "one value of each at each place"))
    for index, fit in enumerate(entry.fits):
        if fit.intervals is not None:
            wrong += _wrong_intervals(("fits", index, "intervals"), fit)
    if wrong:
        return ProfileDocument(profiles), wrong
    return (
        ProfileDocument(
            profiles,
            tuple(_fit(item) for item in entry.fits),
            None if entry.measured_on is None else _measured_on(entry.measured_on),
            tuple(_timing(item) for item in entry.timings),
            tuple(_curve(item) for item in entry.curves),
            tuple(
                measurement_of_entry(item, f"rows[{index}]")
                for index, item in enumerate(entry.rows)
            ),
            entry.name,
            tuple(entry.notes),
        ),
        wrong,
    )


def _wrong_timing(loc: tuple[str | int, ...], entry: TimingEntry) -> Iterator[Finding]:
    if entry.status == "ok" and entry.median_ms is None:
        yield Finding((*loc, "median_ms"), "is missing", "a time, where the status is ok")
    if entry.status != "ok" and not entry.reason:
        yield Finding((*loc, "reason"), "is missing", "a reason, where the status is not ok")
    for index, position in enumerate(entry.outliers):
        if position >= len(entry.samples_ms):
            message = f"there is no sample {position}"
            allowed = f"below {len(entry.samples_ms)}, the number of samples"
            yield Finding((*loc, "outliers", index), message, allowed)
    if not entry.prefill_tokens and not entry.decode_batch:
        yield Finding(loc, "computes nothing", "prefill_tokens or decode_batch above 0")


def _wrong_intervals(loc: tuple[str | int, ...], fit: FitEntry) -> Iterator[Finding]:
    assert fit.intervals is not None
    if fit.table is None:
        yield Finding(loc, "there is no table", "intervals beside a table")
        return
    for name in ("decode_ms", "prefill_ms"):
        own = [len(row) for row in getattr(fit.intervals, name)]
        wanted = [len(row) for row in getattr(fit.table, name)]
        if own != wanted:
            yield Finding((*loc, name), "is not of the shape of the table", "an interval a time")


def _fit(entry: FitEntry) -> ProfileFit:
    return ProfileFit(
        model=entry.model,
        profile=entry.profile,
        parameters=dict(entry.parameters),
        confidence={name: _pair(ends) for name, ends in entry.confidence.items()},
        condition_number=entry.condition_number,
        points=entry.points,
        errors=dict(entry.errors),
        left_out_errors=dict(entry.left_out_errors),
        deployment=dict(entry.deployment),
        table=None if entry.table is None else entry.table.to_domain(),
        intervals=None if entry.intervals is None else _intervals(entry.intervals),
        refusal=entry.refusal,
        untold=tuple(entry.untold),
        measure=tuple(entry.measure),
    )


def _pair(ends: list[float]) -> tuple[float, float]:
    low, high = ends
    return low, high


def _intervals(entry: IntervalsEntry) -> FitIntervals:
    def ends(bands: list[list[list[float]]]) -> tuple[Grid, Grid]:
        return (
            tuple(tuple(pair[0] for pair in row) for row in bands),
            tuple(tuple(pair[1] for pair in row) for row in bands),
        )

    return FitIntervals(ends(entry.decode_ms), ends(entry.prefill_ms))


def _measured_on(entry: MeasuredOnEntry) -> TimedOn:
    model, device, memory = entry.model, entry.device, entry.memory
    return TimedOn(
        TimedModel(
            model.name,
            model.layers,
            tuple(model.layers_timed),
            model.precision,
            model.weight_precision,
            model.attention,
            model.cache,
            model.execution,
            model.tensor_parallel,
        ),
        TimedDevice(
            device.name,
            device.accelerator,
            device.count,
            device.memory_bytes,
            device.driver,
            device.runtime,
            device.idle_power_w,
        ),
        TimedMemory(
            memory.weight_bytes,
            memory.kv_bytes_per_token,
            tuple((item.context_tokens, item.batch) for item in memory.largest_batches),
        ),
        entry.code,
        entry.started_at,
        entry.seed,
    )


def _timing(entry: TimingEntry) -> CaseTiming:
    return CaseTiming(
        IterationCase(
            entry.prefill_tokens, entry.prefix_tokens, entry.decode_batch, entry.context_tokens
        ),
        CaseStatus(entry.status),
        tuple(entry.samples_ms),
        tuple(entry.outliers),
        entry.median_ms,
        entry.spread_ms,
        entry.reason,
        entry.clock_mhz,
        entry.temperature_c,
        entry.power_w,
        entry.memory_bytes,
    )


def _curve(entry: TimedCurveEntry) -> TimedCurve:
    return TimedCurve(
        IterationKind(entry.kind),
        entry.over,
        tuple(entry.at),
        tuple(entry.median_ms),
        tuple(entry.spread_ms),
        tuple(entry.tokens_per_s),
        entry.context_tokens,
        entry.prefix_tokens,
    )
