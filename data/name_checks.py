"""Checks of names that both fleet formats share: used once, and defined where referred to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from data.document import Document
from data.problems import Finding
from data.wording import Loc, choices, did_you_mean, shown


def repeated(document: Document, named: Iterable[tuple[Loc, str, str]]) -> Iterator[Finding]:
    """Yield a finding for each name used before; `named` gives place, name and its words."""
    first: dict[str, Loc] = {}
    for loc, name, words in named:
        if name in first:
            message = f"{words} is used twice; first at {document.where(first[name])}"
            yield Finding(loc, message, "each name once")
        else:
            first[name] = loc


def unresolved(
    loc: Loc, name: str | None, known: Mapping[str, None], words: str
) -> Iterator[Finding]:
    """Yield a finding where a name is not among the known ones; `words` say what it names."""
    if name is not None and name not in known:
        names = list(known)
        message = f"no {words} is called {shown(name)}{did_you_mean(name, names)}"
        yield Finding(loc, message, choices(names))
