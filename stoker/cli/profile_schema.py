"""`stoker profile schema`: the JSON Schema of profile documents."""

from __future__ import annotations

from stoker.cli.options import OutputOption, examples
from stoker.cli.output import check_output_file, json_text, write_text

EPILOG = examples("stoker profile schema", "stoker profile schema --output profiles.schema.json")


def schema(output: OutputOption = None) -> None:
    """Print the JSON Schema of profile documents.

    Editors complete and check documents of `stoker fit` and `stoker profile` by it.
    """
    from data.profile_document import profile_schema

    check_output_file(output)
    write_text(json_text(profile_schema()), output)
