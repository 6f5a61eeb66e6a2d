"""`stoker control status`, `history`, `explain` and `pending`: what a loop does and did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stoker.cli.control_desk import CONTROL_HELP, TokenFileOption, UrlOption, desk, named
from stoker.cli.exits import ExitCode
from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, json_text, show, show_notes, write_text
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.moments import ALLOWED, moment

DocumentArgument = Annotated[
    Path | None, typer.Argument(metavar="[CONTROL]", help=CONTROL_HELP, show_default=False)
]

STATUS = examples(
    "stoker control status control.yaml",
    "stoker control status control.yaml --format json",
    "stoker control status --url http://127.0.0.1:9464",
)
HISTORY = examples(
    "stoker control history control.yaml",
    "stoker control history control.yaml --server chat --since 2026-12-01T06:00:00Z",
    "stoker control history --url http://127.0.0.1:9464 --count 100 --format json",
)
EXPLAIN = examples(
    "stoker control explain control.yaml chat",
    "stoker control explain control.yaml chat --cycle 12 --format json",
    "stoker control explain --url http://127.0.0.1:9464 chat",
)
PENDING = examples(
    "stoker control pending control.yaml",
    "stoker control pending --url http://127.0.0.1:9464 --format json",
)


def status(
    document: DocumentArgument = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Show the last cycle: every server's load, size, what holds it, and corrected profiles."""
    found = desk(document, url, token_file).status()
    if output_format is TextFormat.JSON:
        write_text(json_text(found))
        return
    from stoker.cli.control_report import status_report

    show(status_report(found))


def history(
    document: DocumentArgument = None,
    count: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Most cycles to show.")
    ] = 20,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="SERVER",
            help="What each cycle knew and decided of this server.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Cycles from then on (ISO 8601).", show_default=False),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Cycles before then (ISO 8601).", show_default=False),
    ] = None,
    before: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="The next page: what the page before names.",
            show_default=False,
        ),
    ] = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Show cycles, the newest first: what changed, what it costs, what went wrong.

    Whole records are the lines of `cycles.jsonl` in the folder of the records.
    """
    found = desk(document, url, token_file).history(
        count,
        before=before,
        since=_moment("--since", since),
        until=_moment("--until", until),
        server=server,
    )
    if output_format is TextFormat.JSON:
        write_text(json_text(found))
        return
    from stoker.cli.control_report import history_report, server_history_report

    cycles = found["cycles"]
    show(history_report(cycles) if server is None else server_history_report(cycles))
    if found["next"] is not None:
        show_notes([f"there are more cycles: --before {found['next']}"])


def explain(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONTROL] SERVER",
            help="Control document of the loop (left out with --url), and name of a server.",
            show_default=False,
        ),
    ] = None,
    cycle: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Number of the cycle.", show_default="the last"),
    ] = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Explain one server in one cycle: signals with ages and queries, forecast, plan, decision."""
    document, servers = named(words, url, least=1)
    if len(servers) > 1:
        message = f"{' '.join(servers)}: one at a time"
        raise InvalidInputError([Problem("SERVER", message, "the name of one server")])
    found = desk(document, url, token_file).explain(servers[0], cycle)
    if output_format is TextFormat.JSON:
        write_text(json_text(found))
        return
    from stoker.cli.control_explanation import explanation_report

    show(explanation_report(found))


def pending(
    document: DocumentArgument = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """In the mode `advise`: show the plan that waits for approval, with its identity.

    Exit code 3 where none waits.
    """
    found = desk(document, url, token_file).pending()
    if output_format is TextFormat.JSON:
        write_text(json_text(found))
    else:
        from stoker.cli.control_explanation import pending_report

        show(pending_report(found))
    if found["plan"] is None:
        raise typer.Exit(ExitCode.NOT_SERVED)


def _moment(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return moment(text)
    except ValueError:
        raise InvalidInputError([Problem(option, f"{text!r} is no time", ALLOWED)]) from None
