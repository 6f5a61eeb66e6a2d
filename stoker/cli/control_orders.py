"""`stoker control approve`, `reject`, `pause`, `resume` and `trigger`: orders to a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stoker.cli.control_desk import TokenFileOption, UrlOption, desk, named
from stoker.cli.control_reading import DocumentArgument
from stoker.cli.exits import ExitCode
from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, json_text, show, show_errors, write_text
from stoker.domain.control.orders import ConflictError

if TYPE_CHECKING:
    from rich.console import RenderableType

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CONTROL] [SERVER...]",
        help="Control document of the loop (left out with --url), and whose decisions; all of the "
        "plan if left.",
        show_default=False,
    ),
]
PlanOption = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="ID",
        help="The plan that was seen (`stoker control pending`): no other is meant.",
        show_default="whichever waits",
    ),
]

APPROVE = examples(
    "stoker control approve control.yaml",
    "stoker control approve control.yaml chat search --plan 3f2a9c0d41be",
    "stoker control approve --url http://127.0.0.1:9464 --plan 3f2a9c0d41be",
)
REJECT = examples(
    "stoker control reject control.yaml chat",
    "stoker control reject --url http://127.0.0.1:9464 --plan 3f2a9c0d41be",
)
PAUSE = examples(
    "stoker control pause control.yaml --reason 'maintenance of the nodes'",
    "stoker control pause --url http://127.0.0.1:9464",
)
RESUME = examples(
    "stoker control resume control.yaml",
    "stoker control resume --url http://127.0.0.1:9464",
)
TRIGGER = examples("stoker control trigger --url http://127.0.0.1:9464")


def approve(
    words: WordsArgument = None,
    plan: PlanOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """In the mode `advise`: let the loop carry out the plan that waits, just as it stands.

    A decision that has changed by then is not carried out. Exit code 3 where no plan waits, or
    another one than the one named.
    """
    _order("approve", words, plan, url, token_file, output_format)


def reject(
    words: WordsArgument = None,
    plan: PlanOption = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """In the mode `advise`: let the plan that waits wait no more, while it stays the same.

    Exit code 3 where no plan waits, or another one than the one named.
    """
    _order("reject", words, plan, url, token_file, output_format)


def pause(
    document: DocumentArgument = None,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why, for whoever asks for the status.")
    ] = "",
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Let the loop change nothing until it is resumed; it goes on to measure and to plan.

    This one loop: where several share a Lease, none takes over, as it keeps the Lease. It stays
    paused when it is started again with the same records.
    """
    found = desk(document, url, token_file).pause(reason)
    _told(found, "Paused: nothing is changed until `stoker control resume`.", output_format)


def resume(
    document: DocumentArgument = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Let a paused loop act again, as far as its mode allows."""
    found = desk(document, url, token_file).resume()
    _told(found, "Resumed.", output_format)


def trigger(
    document: DocumentArgument = None,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Begin a cycle now, or as soon as the one that runs is over.

    Takes --url: records on disk do not wake the loop (the signal SIGHUP to its process does).
    """
    found = desk(document, url, token_file).trigger()
    _told(found, f"A cycle follows cycle {found['after_cycle']}.", output_format)


def _order(
    order: str,
    words: list[str] | None,
    plan: str | None,
    url: str | None,
    token_file: Any,
    output_format: TextFormat,
) -> None:
    document, servers = named(words, url)
    found_desk = desk(document, url, token_file)
    give = found_desk.approve if order == "approve" else found_desk.reject
    try:
        found = give(plan, servers or None)
    except ConflictError as error:
        show_errors([str(error)])
        raise typer.Exit(ExitCode.NOT_SERVED) from error
    from stoker.cli.control_explanation import order_report

    _shown(found, order_report(found), output_format)


def _told(found: dict[str, Any], words: str, output_format: TextFormat) -> None:
    from rich.text import Text

    _shown(found, Text(words), output_format)


def _shown(found: dict[str, Any], report: RenderableType, output_format: TextFormat) -> None:
    if output_format is TextFormat.JSON:
        write_text(json_text(found))
    else:
        show(report)
