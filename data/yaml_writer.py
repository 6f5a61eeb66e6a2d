"""Fleet documents as YAML that a person likes to read: one line for what belongs together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import yaml
from yaml.nodes import MappingNode

from data.yaml_reader import NUMBER_LIKE

_ONE_LINE_SECTIONS = ("profiles", "timings", "rows")
"""Sections that are tables: each entry on one line."""


class _OneLine(dict[str, object]):
    """A mapping to be written in one line."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_one_line(dumper: yaml.SafeDumper, value: _OneLine) -> MappingNode:
    node = dumper.represent_dict(value)
    node.flow_style = True
    return node


_Dumper.add_representer(_OneLine, _represent_one_line)
# Text that the core schema of YAML 1.2 reads as a number is quoted too.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER_LIKE, list("+-.0123456789"))


def to_yaml(document: dict[str, object]) -> str:
    """Return a fleet document as YAML, keys in their order and sections apart by empty lines."""
    parts: list[str] = []
    plain: dict[str, object] = {}
    for section, value in document.items():
        if isinstance(value, list | dict):
            parts.append(_dump({section: _arranged(section, value)}))
        else:
            plain[section] = value
    head = [_dump(plain)] if plain else []
    return "\n".join([*head, *parts])


def to_yaml_documents(documents: Iterable[Mapping[str, object]]) -> str:
    """Return mappings as YAML documents, one after another, keys in their order."""
    return "---\n".join(_dump(dict(document)) for document in documents)


def _dump(value: dict[str, object]) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9)


def _arranged(section: str, value: object) -> object:
    """Return a section with the mappings marked that go on one line."""
    if not isinstance(value, list):
        return value
    if section in _ONE_LINE_SECTIONS:
        return [_OneLine(entry) if isinstance(entry, dict) else entry for entry in value]
    return [_entry(entry) for entry in value]


def _entry(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    return {key: _one_line(item) for key, item in entry.items()}


def _one_line(value: object) -> object:
    if isinstance(value, dict):
        return _OneLine(value)
    if isinstance(value, list):
        return [_one_line(item) for item in value]
    return value
