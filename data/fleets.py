"""Fleets by name, file or directory, in either format."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from data.decode import Decoded, decode_yaml, read_document
from data.document import Document, merge
from data.inferno.keys import canonical
from data.inferno.reading import parse_system, read_system
from data.inferno.schema import (
    InfernoAccelerators,
    InfernoCapacities,
    InfernoDocument,
    InfernoModel,
    InfernoModels,
    InfernoOptimizerData,
    InfernoServers,
    InfernoServiceClasses,
)
from data.inferno.to_fleet import convert_system
from data.problems import Finding
from data.profile_document.reading import is_profile_document
from data.stoker_format import read_stoker
from data.wording import choices, did_you_mean, shown
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet

_BUILTIN = resources.files("data") / "builtin"

_INFERNO_FILES: dict[str, tuple[str, type[InfernoModel]]] = {
    "accelerator-data.json": ("acceleratorData", InfernoAccelerators),
    "capacity-data.json": ("capacityData", InfernoCapacities),
    "model-data.json": ("modelData", InfernoModels),
    "serviceclass-data.json": ("serviceClassData", InfernoServiceClasses),
    "server-data.json": ("serverData", InfernoServers),
    "optimizer-data.json": ("optimizerData", InfernoOptimizerData),
}
_DOCUMENT_ENDINGS = (".yaml", ".yml", ".json")


def builtin_names() -> tuple[str, ...]:
    """Return the names of the built-in fleets."""
    files = [item.name for item in _BUILTIN.iterdir() if item.name.endswith(".yaml")]
    return tuple(sorted(name.removesuffix(".yaml") for name in files))


def read_fleet(source: str | Path) -> Fleet:
    """Return a fleet, its format detected.

    Args:
        source: Name of a built-in fleet, or path of a file or directory. A name wins over a path
            of the same spelling; ``./small`` is always a path.

    Raises:
        InvalidInputError: There is no such fleet, or all that is wrong with it.
    """
    if isinstance(source, str) and source in builtin_names():
        text = (_BUILTIN / f"{source}.yaml").read_text(encoding="utf-8")
        return _fleet_of(decode_yaml(text, f"built-in fleet {source}"), f"built-in fleet {source}")
    path = Path(source)
    if path.is_dir():
        return _read_directory(path)
    if not path.exists():
        raise _no_such_fleet(str(source))
    return _fleet_of(read_document(path), str(path))


def parse_fleet(document: object, *, file: str = "") -> Fleet:
    """Return the fleet of a decoded JSON or YAML document, its format detected.

    A document with the key ``system`` is Inferno's; any other is Stoker's own.

    Raises:
        InvalidInputError: Every problem of the document, in document order.
    """
    return _fleet_of(Decoded(document), file)


def _fleet_of(decoded: Decoded, file: str) -> Fleet:
    value = decoded.value
    if is_profile_document(value):
        message = "holds profiles alone, and no servers to plan for"
        allowed = "a fleet; it may stand beside the profiles in a directory"
        raise InvalidInputError([Problem("", message, allowed, file)])
    if not _is_inferno(value):
        return read_stoker(Document.single(value, file, decoded.findings))
    if not decoded.findings:
        return convert_system(parse_system(value, file))
    findings = list(decoded.findings)
    canonical_value = canonical(InfernoDocument, value, (), findings)
    return convert_system(read_system(Document.single(canonical_value, file, findings)))


def _is_inferno(value: object) -> bool:
    return isinstance(value, dict) and any(str(key).casefold() == "system" for key in value)


def _read_directory(path: Path) -> Fleet:
    files = sorted(item for item in path.iterdir() if _is_document(item))
    if not files:
        expected = ", ".join(f"*{ending}" for ending in _DOCUMENT_ENDINGS)
        raise InvalidInputError(
            [Problem("", "the directory holds no documents", expected, str(path))]
        )
    if any(item.name in _INFERNO_FILES for item in files):
        return _read_inferno_directory(path, files)
    if len(files) == 1:
        return _fleet_of(read_document(files[0]), str(files[0]))
    decoded = _read_all(files)
    whole = [file for file, item in decoded.items() if _is_inferno(item.value)]
    if whole:
        message = "holds a whole Inferno system, among other documents"
        raise InvalidInputError(
            [Problem("", message, "the path of that file alone", file) for file in whole]
        )
    parts = {file: _fleet_part(item.value) for file, item in decoded.items()}
    findings = {file: item.findings for file, item in decoded.items()}
    return read_stoker(merge(parts, str(path), findings))


def _fleet_part(value: object) -> object:
    """Return what a fleet takes of one of its documents: of profile documents the profiles."""
    if isinstance(value, dict) and is_profile_document(value):
        return {"profiles": value.get("profiles")}
    return value


def _is_document(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.suffix in _DOCUMENT_ENDINGS and not hidden and path.is_file()


def _read_all(files: list[Path]) -> dict[str, Decoded]:
    """Return the documents of files by their names, or raise what is wrong with any of them."""
    decoded: dict[str, Decoded] = {}
    problems: list[Problem] = []
    for path in files:
        try:
            decoded[str(path)] = read_document(path)
        except InvalidInputError as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidInputError(problems)
    return decoded


def _read_inferno_directory(path: Path, files: list[Path]) -> Fleet:
    strangers = [item for item in files if item.name not in _INFERNO_FILES]
    if strangers:
        names = ", ".join(_INFERNO_FILES)
        raise InvalidInputError(
            [
                Problem("", "is none of the files of an Inferno directory", names, str(item))
                for item in strangers
            ]
        )
    by_name = {item.name: item for item in files}
    ordered = [by_name[name] for name in _INFERNO_FILES if name in by_name]
    system: dict[str, object] = {}
    parts: dict[str, object] = {}
    origins: dict[tuple[str | int, ...], tuple[str, tuple[str | int, ...]]] = {}
    findings: list[Finding] = []
    for file, decoded in _read_all(ordered).items():
        section, model = _INFERNO_FILES[Path(file).name]
        place = ("system", section)
        findings.extend(
            Finding((*place, *item.loc), item.message, item.allowed) for item in decoded.findings
        )
        system[section] = parts[file] = canonical(model, decoded.value, place, findings)
        origins[place] = (file, ())
    for name, (section, _) in _INFERNO_FILES.items():
        if section not in system:
            origins["system", section] = (str(path / name), ())
    document = Document({"system": system}, str(path), parts, origins, tuple(findings))
    return convert_system(read_system(document))


def _no_such_fleet(source: str) -> InvalidInputError:
    names = builtin_names()
    message = f"{shown(source)} is neither a built-in fleet nor a file or directory"
    allowed = f"{choices(names)}, or a path"
    return InvalidInputError([Problem("", message + did_you_mean(source, names), allowed)])
