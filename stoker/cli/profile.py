"""`stoker profile`: make, read, compare and check profiles of models on accelerators."""

from __future__ import annotations

import typer

from stoker.cli import (
    profile_check,
    profile_compare,
    profile_endpoint,
    profile_import,
    profile_list,
    profile_run,
    profile_schema,
    profile_show,
)
from stoker.cli.group import StokerGroup

app = typer.Typer(
    cls=StokerGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Make, read, compare and check profiles.\n\n"
    "A profile says how fast a model runs on an accelerator, and where that figure comes from.",
)

app.command("list", epilog=profile_list.EPILOG)(profile_list.list_profiles)
app.command(epilog=profile_show.EPILOG)(profile_show.show)
app.command(epilog=profile_compare.EPILOG)(profile_compare.compare)
app.command(epilog=profile_check.EPILOG)(profile_check.check)
app.command("import", epilog=profile_import.IMPORT_EPILOG)(profile_import.import_profiles)
app.command("export", epilog=profile_import.EXPORT_EPILOG)(profile_import.export_profile)
app.command(epilog=profile_schema.EPILOG)(profile_schema.schema)
app.command(epilog=profile_endpoint.EPILOG)(profile_endpoint.endpoint)
app.command(epilog=profile_run.EPILOG)(profile_run.run)
