"""The alerts that `deploy/` ships."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.cli import ROOT

RULES = ROOT / "deploy" / "prometheus-rules.yaml"


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found
