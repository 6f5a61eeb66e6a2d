"""`stoker profile check`: whether profiles can be true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, json_text, write_text
from stoker.cli.output import show as print_table
from stoker.cli.profile_sources import SourceArgument, read_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.catalogue import Catalogue
    from profiler.judging import Finding
    from stoker.domain.architecture import ModelArchitecture
    from stoker.domain.catalogue import AcceleratorSpec

EPILOG = (
    examples(
        "stoker profile check llama-3.1-8b/h100",
        "stoker profile check llama-3.1-8b/h100 --format json",
    )
    + """

**Rules**

`monotone`: more work takes no less time. `physical`: no iteration is faster than reading its bytes
and computing its operations at the peaks of the card. `identifiable`: the measurements tell the
parameters. `units`: times are in milliseconds. `kind`: the profile is what its provenance says.

**Exit codes**

0: nothing but warnings. 2: bad input. 6: there is an error."""
)

_WIDTH = 140


def check(profile: SourceArgument, output_format: FormatOption = TextFormat.TABLE) -> None:
    """Check that profiles can be true: monotone, physical, identifiable, in the right units."""
    from data.catalogue import load_catalogue
    from profiler.judging import Severity, check_document

    known = load_catalogue()
    document = read_source(profile)
    findings = check_document(
        document, lambda name: _model(known, name), lambda name: _card(known, name)
    )
    errors = sum(item.severity is Severity.ERROR for item in findings)
    if output_format is TextFormat.JSON:
        write_text(json_text(_document(findings, errors, len(document.profiles))))
    else:
        from stoker.cli.profile_tables import findings_table

        print_table(findings_table(findings, len(document.profiles)), _WIDTH)
    raise typer.Exit(ExitCode.UNSOUND if errors else ExitCode.DONE)


def _document(findings: Sequence[Finding], errors: int, profiles: int) -> dict[str, object]:
    return {
        "sound": not errors,
        "profiles": profiles,
        "errors": errors,
        "warnings": len(findings) - errors,
        "findings": [
            {
                "severity": item.severity.value,
                "rule": item.rule,
                "place": item.place,
                "message": item.message,
            }
            for item in findings
        ],
    }


def _model(known: Catalogue, name: str) -> ModelArchitecture | None:
    from data.catalogue import UnknownNameError

    try:
        return known.model(name)
    except UnknownNameError:
        return None


def _card(known: Catalogue, name: str) -> AcceleratorSpec | None:
    from data.catalogue import UnknownNameError

    try:
        return known.accelerator(name)
    except UnknownNameError:
        return None
