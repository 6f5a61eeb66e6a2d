"""From Inferno documents to validated systems and objects."""

from __future__ import annotations

from pydantic import ValidationError

from data.document import Document
from data.inferno.checks import check_collection, check_parameters, check_system, check_targets
from data.inferno.keys import canonical
from data.inferno.schema import (
    AnyInferno,
    InfernoDocument,
    InfernoModel,
    InfernoModelPerf,
    InfernoServiceClass,
    InfernoSystem,
)
from data.problems import Finding, findings_from_validation


def parse_system(document: object, file: str = "") -> InfernoSystem:
    """Return the system of a decoded document ``{"system": {...}}``, keys in any case.

    Raises:
        InvalidInputError: Every problem of the document, in document order.
    """
    findings: list[Finding] = []
    value = canonical(InfernoDocument, document, (), findings)
    return read_system(Document.single(value, file, findings))


def read_system(document: Document) -> InfernoSystem:
    """Return the system of a document, of one file or several, in the reference's spelling.

    Raises:
        InvalidInputError: Every problem of the document, in document order.
    """
    return _validated(InfernoDocument, document, list(check_system(document))).system


def parse_one(model: type[AnyInferno], document: object, file: str = "") -> AnyInferno:
    """Return one object or collection of a decoded document, keys in any case.

    Args:
        model: What the document should be, e.g. `InfernoServer` or `InfernoServers`.
        document: The decoded JSON.
        file: Name of the file, for errors.

    Raises:
        InvalidInputError: Every problem of the document, in document order.
    """
    findings: list[Finding] = []
    value = canonical(model, document, (), findings)
    whole = Document.single(value, file, findings)
    return _validated(model, whole, _own_checks(model, whole))


def _own_checks(model: type[InfernoModel], document: Document) -> list[Finding]:
    value = document.value
    if not isinstance(value, dict):
        return []
    if model is InfernoModelPerf:
        return list(check_parameters((), value))
    if model is InfernoServiceClass:
        return list(check_targets(document, (), value))
    return list(check_collection(document))


def _validated(model: type[AnyInferno], document: Document, findings: list[Finding]) -> AnyInferno:
    """Return the document as a model, or raise everything that is wrong with it."""
    result: AnyInferno | None = None
    try:
        result = model.model_validate(document.value)
    except ValidationError as error:
        findings = [*findings_from_validation(error, model), *findings]
    document.refuse_if(findings)
    assert result is not None  # nothing is validated without a result or a finding
    return result
