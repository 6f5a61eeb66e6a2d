"""`stoker schema`: the JSON Schema of Stoker's fleet format."""

from __future__ import annotations

from stoker.cli.options import OutputOption, examples
from stoker.cli.output import check_output_file, json_text, write_text

EPILOG = examples("stoker schema", "stoker schema --output fleet.schema.json")


def schema(output: OutputOption = None) -> None:
    """Print the JSON Schema of the fleet format.

    Editors complete and check fleets in Stoker's own format by it.
    """
    from data.stoker_format import fleet_schema

    check_output_file(output)
    write_text(json_text(fleet_schema()), output)
