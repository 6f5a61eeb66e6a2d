"""The example fleets of the pages, with changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from data.stoker_format import document_to_fleet
from stoker.domain.fleet import Fleet
from tests.support.cli import ROOT


def page_fleet(page: str, changes: Mapping[str, Any] | None = None) -> Fleet:
    """Return the first fleet that a page shows whole, with top-level keys replaced.

    Args:
        page: Name of the page.
        changes: Keys of the document and their new values.
    """
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (found, *_) = re.findall(r"```yaml\n(version:.*?)```", text, re.DOTALL)
    return document_to_fleet(yaml.safe_load(found) | dict(changes or {}))
