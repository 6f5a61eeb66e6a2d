"""The reference of docs/control.md names what documents, labels and events of today are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from collector.kubernetes import labels
from collector.kubernetes.hardware import PRODUCT_LABELS
from controller.problems import ProblemKind
from data.control_document.fields import (
    ClassEntry,
    ControlDocument,
    QuietEntry,
    ServerEntry,
    WorkloadEntry,
)
from stoker.cli.control_wiring import records_folder
from stoker.domain.control.changes import ChangeOutcome
from stoker.domain.control.settings import (
    ControlSettings,
    RecordSettings,
    ServerControl,
    ServiceClassControl,
)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "control.md").read_text(encoding="utf-8")
GROUPS = {
    name: field.annotation
    for name, field in ControlDocument.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
LISTS: dict[str, type[BaseModel]] = {
    "stability.quiet_hours[]": QuietEntry,
    "service_classes[]": ClassEntry,
    "servers[]": ServerEntry,
    "servers[].workloads[]": WorkloadEntry,
}


def default_of(key: str, field: FieldInfo) -> str:
    """Return what a key is where it is left out, as the page says it."""
    if key == "records.folder":
        return f"`{records_folder(Path(), RecordSettings())}`, beside the document"
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:.15g}`" if isinstance(value, float) else f"`{value}`"


def words_of(annotation: Any) -> Iterator[str]:
    """Yield the words that a key may be."""
    if get_origin(annotation) is Literal:
        yield from (each for each in get_args(annotation) if isinstance(each, str))
        return
    for part in get_args(annotation):
        yield from words_of(part)


def rows_of(group: str, entry: type[BaseModel]) -> Iterator[str]:
    for name, field in entry.model_fields.items():
        key = f"{group}.{field.alias or name}"
        meaning = (field.description or "").rstrip(".")
        among = list(words_of(field.annotation))
        if among:
            meaning += f": {', '.join(f'`{word}`' for word in among)}"
        yield f"| `{key}` | {default_of(key, field)} | {meaning} |"


def test_every_key_stands_in_the_table() -> None:
    """Where this fails, the rows below the heading are to be those that it names."""
    table = PAGE.partition("### Every key")[2].partition("\n##")[0]
    shown = [line for line in table.splitlines() if line.startswith("| `")]
    assert shown == [
        row for group, entry in {**GROUPS, **LISTS}.items() for row in rows_of(group, entry)
    ]


@pytest.mark.parametrize("group", GROUPS)
def test_the_defaults_of_documents_are_those_of_the_settings(group: str) -> None:
    entry, settings = GROUPS[group], getattr(ControlSettings(), group)
    assert is_dataclass(settings)
    assert list(entry.model_fields) == [each.name for each in fields(settings)]
    for name, field in entry.model_fields.items():
        value, told = getattr(settings, name), field.get_default(call_default_factory=True)
        plain = value.value if isinstance(value, StrEnum) else value
        assert (list(plain) if isinstance(plain, tuple) else plain) == told, name


def test_the_keys_of_servers_and_classes_are_those_of_the_settings() -> None:
    assert list(ServerEntry.model_fields) == [each.name for each in fields(ServerControl)]
    told = [each.name for each in fields(ServiceClassControl)]
    assert list(ClassEntry.model_fields) == ["service_class", *told]


def test_every_label_is_told() -> None:
    for each in (
        *labels.SERVER,
        *labels.SERVICE_CLASS,
        *labels.MODEL,
        *labels.ACCELERATOR,
        *labels.CONFIGURATION,
        *labels.MAX_BATCH,
        labels.MANAGED,
        labels.PAUSED,
        labels.MIN_REPLICAS,
        labels.MAX_REPLICAS,
        *PRODUCT_LABELS,
    ):
        assert each in PAGE, each


def test_every_kind_of_problem_is_told() -> None:
    table = PAGE.partition("| kind of problem |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+)`", table)) >= {each.value for each in ProblemKind}


def test_every_reason_of_events_is_told() -> None:
    refused = (
        ChangeOutcome.CONFLICT,
        ChangeOutcome.FORBIDDEN,
        ChangeOutcome.MISSING,
        ChangeOutcome.FAILED,
    )
    told = {
        f"{what}{each.value.title()}" for what in ("Scaling", "BatchLimiting") for each in refused
    }
    for reason in told | {"Scaled", "BatchLimited", "Emitted", "Degraded", "Recovered", "CutOff"}:
        assert f"`{reason}`" in PAGE, reason
