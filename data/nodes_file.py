"""Files of nodes: ``nodes:`` on its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from data.decode import Decoded, read_document
from data.document import Document
from data.fields import StrictModel
from data.node_fields import NodeEntry, check_nodes, nodes_from_entries, nodes_section
from data.problems import Finding, findings_from_validation
from stoker.domain.nodes import Node


class NodesEntry(StrictModel):
    """The nodes that a plan is placed on."""

    version: Literal[1] = Field(1, description="Version of this format.")
    nodes: Annotated[list[NodeEntry], Field(min_length=1)] = Field(description="The nodes.")


def read_nodes(path: str | Path) -> tuple[Node, ...]:
    """Return the nodes of a file, YAML or (by the ending ``.json``) JSON.

    Raises:
        InvalidInputError: The file cannot be read, or every problem in it.
    """
    return _nodes(read_document(Path(path)), str(path))


def parse_nodes(document: object, file: str = "") -> tuple[Node, ...]:
    """Return the nodes of a decoded document.

    Raises:
        InvalidInputError: Every problem of the document, in document order.
    """
    return _nodes(Decoded(document), file)


def nodes_to_document(nodes: Iterable[Node]) -> dict[str, object]:
    """Return nodes as a document that `parse_nodes` reads back."""
    return {"version": 1, "nodes": nodes_section(nodes)}


def nodes_schema() -> dict[str, object]:
    """Return the JSON Schema of a file of nodes (draft 2020-12)."""
    schema = NodesEntry.model_json_schema(schema_generator=GenerateJsonSchema)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "Stoker nodes"}


def _nodes(decoded: Decoded, file: str) -> tuple[Node, ...]:
    document = Document.single(decoded.value, file, decoded.findings)
    wrong: list[Finding] = []
    entry: NodesEntry | None = None
    try:
        entry = NodesEntry.model_validate(decoded.value)
    except ValidationError as error:
        wrong.extend(findings_from_validation(error, NodesEntry))
    if isinstance(decoded.value, dict):
        wrong.extend(check_nodes(decoded.value))
    document.refuse_if(wrong)
    assert entry is not None  # no entry without findings, and those were raised
    return nodes_from_entries(entry.nodes)
