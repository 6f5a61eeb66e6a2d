"""Tables of predictions that somebody else made, to plan from in place of Stoker's own.

The form is the reference's: ``{"candidates": {server: {accelerator: {...}}}}``, money in cents
per hour and rates per minute. The key names the accelerator that was tried; where the entry's
own accelerator is "", the server carries no load and gets an empty allocation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, ValidationError

from data.decode import Decoded, read_document
from data.document import Document
from data.fields import Count, Name
from data.inferno.keys import canonical
from data.inferno.schema import Amount, InfernoModel, to_json
from data.problems import Finding, findings_from_validation
from data.wording import Loc, shown
from stoker.domain.candidate import CandidateEstimate
from stoker.domain.units import (
    cents_from_units,
    rpm_from_rps,
    rps_from_rpm,
    units_from_cents,
)


class CandidateEntry(InfernoModel):
    """A prediction for a server on an accelerator; `value` may be below zero (a saving)."""

    accelerator: str
    num_replicas: Count = Field(alias="numReplicas")
    max_batch: Count = Field(alias="maxBatch")
    cost: Amount
    value: float = Field(ge=-1e14, le=1e14)
    itl_average: Amount = Field(alias="itlAverage")
    ttft_average: Amount = Field(alias="ttftAverage")
    rho: Amount
    max_rpm: Amount = Field(alias="maxRPM")


class CandidatesDocument(InfernoModel):
    """A table of predictions; the reference adds what it was made from and its size."""

    informative = frozenset({"system", "numServers", "numAccelerators", "numCandidates"})

    candidates: dict[Name, dict[Name, CandidateEntry]]


def read_candidates(path: str | Path) -> tuple[CandidateEstimate, ...]:
    """Return the predictions of a file, servers and accelerators in its order.

    Raises:
        InvalidInputError: The file cannot be read, or every problem in it.
    """
    return _estimates(read_document(Path(path)), str(path))


def parse_candidates(document: object, file: str = "") -> tuple[CandidateEstimate, ...]:
    """Return the predictions of a decoded document.

    Raises:
        InvalidInputError: Every problem of the document, in document order.
    """
    return _estimates(Decoded(document), file)


def candidates_to_document(estimates: Iterable[CandidateEstimate]) -> dict[str, object]:
    """Return predictions as a document; an empty allocation stands under the key ``none``."""
    table: dict[str, dict[str, object]] = {}
    for item in estimates:
        entry = CandidateEntry(
            accelerator=item.accelerator or "",
            num_replicas=item.replicas,
            max_batch=item.max_batch,
            cost=cents_from_units(item.cost_per_hour),
            value=cents_from_units(item.value),
            itl_average=item.itl_ms,
            ttft_average=item.ttft_ms,
            rho=item.utilization,
            max_rpm=rpm_from_rps(item.max_rate_rps),
        )
        table.setdefault(item.server, {})[item.accelerator or "none"] = to_json(entry)
    return {"candidates": table}


def write_candidates(path: str | Path, estimates: Iterable[CandidateEstimate]) -> None:
    """Write predictions to a file that `read_candidates` reads back.

    Raises:
        OSError: The file cannot be written.
    """
    text = json.dumps(candidates_to_document(estimates), indent=1, ensure_ascii=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def _estimates(decoded: Decoded, file: str) -> tuple[CandidateEstimate, ...]:
    findings = list(decoded.findings)
    value = _canonical(decoded.value, findings)
    document = Document.single(value, file, findings)
    result: CandidatesDocument | None = None
    wrong: list[Finding] = []
    try:
        result = CandidatesDocument.model_validate(value)
    except ValidationError as error:
        wrong.extend(findings_from_validation(error, CandidatesDocument))
    if result is not None:
        wrong.extend(_mismatches(result))
    document.refuse_if(wrong)
    assert result is not None  # nothing is validated without a result or a finding
    estimates: list[CandidateEstimate] = []
    for server, row in result.candidates.items():
        empty = [entry for entry in row.values() if not entry.accelerator]
        named = [entry for entry in row.values() if entry.accelerator]
        estimates.extend(_estimate(server, entry) for entry in (*named, *empty[:1]))
    return tuple(estimates)


def _canonical(value: object, findings: list[Finding]) -> object:
    """Return the document with keys in the reference's spelling, names left as they are."""
    value = canonical(CandidatesDocument, value, (), findings)
    table = value.get("candidates") if isinstance(value, dict) else None
    if not isinstance(table, dict):
        return value
    rows: dict[str, object] = {}
    for server, row in table.items():
        rows[server] = row
        if isinstance(row, dict):
            rows[server] = {
                name: canonical(CandidateEntry, entry, ("candidates", server, name), findings)
                for name, entry in row.items()
            }
    return {**value, "candidates": rows} if isinstance(value, dict) else value


def _mismatches(document: CandidatesDocument) -> Iterable[Finding]:
    for server, row in document.candidates.items():
        for name, entry in row.items():
            loc: Loc = ("candidates", server, name)
            if entry.accelerator not in ("", name):
                yield Finding(
                    (*loc, "accelerator"),
                    f"{shown(entry.accelerator)} is not the accelerator of the key",
                    f'{shown(name)}, or "" for an empty allocation',
                )
            elif entry.accelerator and not entry.num_replicas:
                yield Finding((*loc, "numReplicas"), "0 replicas of an accelerator", "at least 1")
            elif not entry.accelerator and entry.num_replicas:
                yield Finding((*loc, "numReplicas"), "replicas without an accelerator", "0")


def _estimate(server: str, entry: CandidateEntry) -> CandidateEstimate:
    return CandidateEstimate(
        server=server,
        accelerator=entry.accelerator or None,
        replicas=entry.num_replicas,
        max_batch=entry.max_batch,
        cost_per_hour=units_from_cents(entry.cost),
        value=units_from_cents(entry.value),
        ttft_ms=entry.ttft_average,
        itl_ms=entry.itl_average,
        utilization=entry.rho,
        max_rate_rps=rps_from_rpm(entry.max_rpm),
    )
