"""Documents made of one file or several, that know which file each place came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from data.problems import Finding
from data.wording import Loc, path_text, shown
from stoker.domain.errors import InvalidInputError, Problem


@dataclass(frozen=True, slots=True)
class Document:
    """A decoded document and where its places stand in the files it was read from.

    Attributes:
        value: The whole document.
        name: What it was read from: a file, a directory, or empty for a value in memory.
        parts: Content of each file, in the order of reading.
        origins: File and place in it, by place in the whole document. A place without an entry
            belongs to the nearest entry above it.
        findings: What was found wrong while reading and merging.
    """

    value: object
    name: str = ""
    parts: Mapping[str, object] = field(default_factory=dict)
    origins: Mapping[Loc, tuple[str, Loc]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @classmethod
    def single(cls, value: object, file: str = "", findings: Iterable[Finding] = ()) -> Document:
        """Return the document of one file, or of a value in memory."""
        return cls(value, file, {file: value}, {(): (file, ())}, tuple(findings))

    def locate(self, loc: Loc) -> tuple[str, Loc]:
        """Return the file of a place and the place in it."""
        for length in range(len(loc), -1, -1):
            origin = self.origins.get(loc[:length])
            if origin is not None:
                file, start = origin
                return file, (*start, *loc[length:])
        return self.name, loc

    def where(self, loc: Loc) -> str:
        """Return a place as text: its file, where there are several, and its path."""
        file, local = self.locate(loc)
        return f"{path_text(local)} in {file}" if len(self.parts) > 1 else path_text(local)

    def refuse_if(self, findings: Iterable[Finding]) -> None:
        """Raise an `InvalidInputError` of all findings in document order, if there is any."""
        unique = dict.fromkeys((*self.findings, *findings))
        if unique:
            ordered = sorted(unique, key=lambda finding: self._order(finding.loc))
            raise InvalidInputError([self._problem(finding) for finding in ordered])

    def _problem(self, finding: Finding) -> Problem:
        file, local = self.locate(finding.loc)
        return Problem(path_text(local), finding.message, finding.allowed, file)

    def _order(self, loc: Loc) -> tuple[int, ...]:
        """Return the position of a place: of its file, then of each key and item on the way."""
        file, local = self.locate(loc)
        files = list(self.parts)
        order = [files.index(file) if file in self.parts else len(files)]
        here = self.parts.get(file)
        for part in local:
            if isinstance(here, dict):
                keys = list(here)
                order.append(keys.index(part) if part in here else len(keys))
                here = here.get(part)
            else:
                order.append(part if isinstance(part, int) else 0)
                inside = isinstance(here, list) and isinstance(part, int) and part < len(here)
                here = here[part] if inside else None  # type: ignore[index]
        return tuple(order)


def merge(
    parts: Mapping[str, object], name: str, findings: Mapping[str, Iterable[Finding]]
) -> Document:
    """Return the document that several files make together.

    Lists of a section are joined and mappings are united, in the order of the files. A key of
    such a mapping may stand in one file only; single values (version, currency) may be repeated
    where they are equal.

    Args:
        parts: Content of each file.
        name: The directory they were read from.
        findings: What is wrong within each file.
    """
    whole: dict[str, object] = {}
    origins: dict[Loc, tuple[str, Loc]] = {}
    wrong: list[Finding] = []
    for file, content in parts.items():
        if not isinstance(content, dict):
            place: Loc = (f"<{file}>",)
            origins[place] = (file, ())
            wrong.append(Finding(place, f"{shown(content)} is not a mapping", "a mapping"))
            continue
        for section, value in content.items():
            _join(whole, origins, wrong, file, section, value)
    for file, found in findings.items():
        for finding in found:
            place = (f"<{file}>", *finding.loc)
            origins[place] = (file, finding.loc)
            wrong.append(Finding(place, finding.message, finding.allowed))
    return Document(whole, name, parts, origins, tuple(wrong))


def _join(
    whole: dict[str, object],
    origins: dict[Loc, tuple[str, Loc]],
    wrong: list[Finding],
    file: str,
    section: str,
    value: object,
) -> None:
    """Add what a file says of a section to the whole."""
    present = whole.get(section)
    if section not in whole:
        whole[section] = list(value) if isinstance(value, list) else value
        if isinstance(value, dict):
            whole[section] = dict(value)
        origins[(section,)] = (file, (section,))
    elif isinstance(present, list) and isinstance(value, list):
        for index, item in enumerate(value):
            origins[(section, len(present))] = (file, (section, index))
            present.append(item)
    elif isinstance(present, dict) and isinstance(value, dict):
        for key, item in value.items():
            if key in present:
                _disagree(origins, wrong, file, (section, key))
            else:
                present[key] = item
                origins[(section, key)] = (file, (section, key))
    elif present != value or type(present) is not type(value):
        _disagree(origins, wrong, file, (section,))


def _disagree(
    origins: dict[Loc, tuple[str, Loc]], wrong: list[Finding], file: str, loc: Loc
) -> None:
    first = next(origins[loc[:n]][0] for n in range(len(loc), 0, -1) if loc[:n] in origins)
    place: Loc = (f"<{file}>", *loc)
    origins[place] = (file, loc)
    wrong.append(Finding(place, f"{first} and {file} say different things of this", "one value"))


def entries(value: object, *keys: str) -> Iterator[tuple[Loc, Mapping[str, object]]]:
    """Yield the mappings in the list under a path of keys, with their places.

    Whatever is missing or of another type is passed over: checks across a document run beside
    the validation of types, which reports that.
    """
    for key in keys:
        if not isinstance(value, dict):
            return
        value = value.get(key)
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield (*keys, index), item


def text_at(entry: Mapping[str, object], key: str) -> str | None:
    """Return the text under a key, or None where there is none."""
    value = entry.get(key)
    return value if isinstance(value, str) and value else None


def number_at(entry: Mapping[str, object], key: str) -> float | None:
    """Return the number under a key, or None where there is none."""
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value


def mapping_at(entry: Mapping[str, object], key: str) -> Mapping[str, object] | None:
    """Return the mapping under a key, or None where there is none."""
    value = entry.get(key)
    return value if isinstance(value, dict) else None
