"""Paths with names in them: which of the names may hold slashes, and where it ends.

Names of models do (``meta-llama/Llama-3.1-8B``). Of several names in a path, that of the model may
hold slashes; where there is none, the last. Everything around it is split off at the ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_MODEL = "model"


def routed(path: str) -> str:
    """Return a path as the router matches it, e.g. ``/getServer/{name:path}``.

    Names behind the one that may hold slashes are matched with it; `names_in` takes them apart.
    """
    names = re.findall(r"{(\w+)}", path)
    if not names:
        return path
    wide = _wide(names)
    upto, _ = path.split(f"/{{{wide}}}", maxsplit=1)
    return f"{upto.replace('}', ':str}')}/{{{wide}:path}}"


def template(path: str) -> str:
    """Return a path as the router names it when it has matched."""
    return re.sub(r":\w+}", "}", routed(path))


def names_in(path: str, matched: Mapping[str, object]) -> dict[str, str] | None:
    """Return the names that stand in a path, or None where one of them is missing.

    Args:
        path: The path of the endpoint, e.g. ``/getServer/{name}``.
        matched: What the router matched `routed` with.
    """
    names = re.findall(r"{(\w+)}", path)
    found = {name: str(value) for name, value in matched.items()}
    if not names:
        return found
    behind = names[names.index(_wide(names)) :]
    parts = found.pop(behind[0]).removeprefix("/").rsplit("/", maxsplit=len(behind) - 1)
    if len(parts) < len(behind):
        return None
    return {**found, **dict(zip(behind, parts, strict=True))}


def _wide(names: list[str]) -> str:
    return _MODEL if _MODEL in names else names[-1]
