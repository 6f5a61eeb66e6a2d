"""Stoker's own fleet format: documents to fleets and back, and its JSON Schema."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema

from data.document import Document
from data.problems import findings_from_validation
from data.shipped_entries import ShippedEntry, with_shipped
from data.stoker_checks import check_fleet
from data.stoker_reading import fleet_from_entry
from data.stoker_schema import FleetEntry
from data.stoker_writing import entry_of_fleet
from stoker.domain.fleet import Fleet


def document_to_fleet(document: object, file: str = "") -> Fleet:
    """Return the fleet of a decoded document in Stoker's format.

    Args:
        document: The decoded YAML or JSON.
        file: Name of the file, for errors.

    Raises:
        InvalidInputError: Every problem of the document, in document order.
    """
    return read_stoker(Document.single(document, file))


def read_stoker(document: Document) -> Fleet:
    """Return the fleet of a document in Stoker's format, of one file or several.

    Raises:
        InvalidInputError: Every problem of the document, in document order.
    """
    document, findings = with_shipped(document)
    if findings:
        document.refuse_if(findings)
    entry: FleetEntry | None = None
    try:
        entry = FleetEntry.model_validate(document.value)
    except ValidationError as error:
        findings.extend(findings_from_validation(error, FleetEntry))
    findings.extend(check_fleet(document))
    document.refuse_if(findings)
    assert entry is not None  # no entry without findings, and those were raised
    return fleet_from_entry(entry)


def fleet_to_document(fleet: Fleet) -> dict[str, object]:
    """Return a fleet as a document in Stoker's format; values at their defaults are left out.

    Raises:
        InvalidInputError: The fleet holds what the format refuses: loose ends that only
            Inferno's format allows, e.g. capacity of a type that no accelerator has.
    """
    document = entry_of_fleet(fleet)
    read_stoker(Document.single(document))
    return document


def fleet_schema() -> dict[str, object]:
    """Return the JSON Schema of a document in Stoker's format (draft 2020-12).

    References between entries (a server's model, a profile's accelerator) are beyond a schema;
    `document_to_fleet` checks them.
    """
    schema = FleetEntry.model_json_schema(schema_generator=GenerateJsonSchema)
    profiles = schema["properties"]["profiles"]
    profiles["items"] = {"anyOf": [profiles["items"], {"$ref": "#/$defs/ShippedEntry"}]}
    schema["$defs"]["ShippedEntry"] = ShippedEntry.model_json_schema()
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **schema,
        "title": "Stoker fleet",
    }
