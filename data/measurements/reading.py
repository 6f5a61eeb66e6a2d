"""From the text of a file to measurements: its form recognised by what stands in it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from data.measurements.draft import Draft, Unrecorded
from data.measurements.guidellm import is_report, report_drafts
from data.measurements.guidellm_csv import csv_drafts, is_csv_report
from data.measurements.rows import measurement_of, row_drafts
from data.measurements.sglang import is_sglang_result, sglang_drafts
from data.measurements.table import is_table, table_drafts
from data.measurements.vllm import is_result, result_drafts
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.measurement import Measurement

FORMS = (
    "rows as JSON lines or CSV, a GuideLLM report (JSON or CSV), or results of vllm bench serve or "
    "of SGLang's bench_serving"
)

_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from a file.

    Attributes:
        rows: The measurements, in the order of the file.
        left_out: What was wrong with the rows that were left out.
        rows_left_out: How many those are.
    """

    rows: tuple[Measurement, ...]
    left_out: tuple[Problem, ...] = ()
    rows_left_out: int = 0


def read_measurements(
    text: str,
    file: str,
    beside: Unrecorded | None = None,
    *,
    skip_bad_rows: bool = False,
    measured: bool = True,
) -> Reading:
    """Return the measurements of a file.

    Args:
        text: Its content.
        file: Its name, for errors.
        beside: What is known of the server beside the file.
        skip_bad_rows: Leave out rows that cannot be used, and tell them, instead of refusing the
            whole file.
        measured: Whether rows must hold a measured latency; operating points to predict need none.

    Raises:
        InvalidInputError: The form is unknown, a row is wrong (without `skip_bad_rows`), or no row
            is left.
    """
    rows: list[Measurement] = []
    problems: list[Problem] = []
    bad = 0
    try:
        for draft in _drafts(text, file):
            try:
                rows.append(measurement_of(draft, file, beside or Unrecorded(), measured=measured))
            except InvalidInputError as error:
                problems += error.problems
                bad += 1
    except csv.Error as error:
        raise InvalidInputError([Problem("", f"malformed CSV: {error}", "", file)]) from None
    if problems and not (skip_bad_rows and rows):
        more = len(problems) - _MOST_PROBLEMS
        tail = [Problem("", f"{more} more problems", "", file)] if more > 0 else []
        raise InvalidInputError(problems[:_MOST_PROBLEMS] + tail)
    if not rows:
        raise InvalidInputError([Problem("", "holds no rows", FORMS, file)])
    return Reading(tuple(rows), tuple(problems), bad)


def _drafts(text: str, file: str) -> Iterable[Draft]:
    start = text.lstrip()
    if start[:1] in ("{", "["):
        return _json_drafts(text, file)
    lines = text.splitlines()
    header = next(csv.reader([line for line in lines if line.strip()][:1]), [])
    if is_csv_report(header):
        return csv_drafts(lines)
    if is_table(header):
        return table_drafts(lines)
    raise InvalidInputError([Problem("", "is in no form that is known here", FORMS, file)])


def _json_drafts(text: str, file: str) -> Iterable[Draft]:
    try:
        document: object = json.loads(text)
    except RecursionError:
        raise InvalidInputError([Problem("", "is nested too deeply", FORMS, file)]) from None
    except ValueError as error:
        if len(text.splitlines()) > 1 and _is_object(text.lstrip().splitlines()[0]):
            return _line_drafts(text)
        if not isinstance(error, json.JSONDecodeError):
            message = "holds a number of too many digits"
            raise InvalidInputError([Problem("", message, FORMS, file)]) from None
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInputError(
            [Problem(where, f"malformed JSON: {error.msg}", "", file)]
        ) from None
    if is_report(document):
        assert isinstance(document, Mapping)
        return report_drafts(document)
    if isinstance(document, list):
        return _mixed((f"[{index}]", item) for index, item in enumerate(document))
    return _mixed([("line 1", document)])


def _is_object(line: str) -> bool:
    """Return whether a line is a JSON object of its own, as in JSON lines."""
    line = line.strip()
    return line.startswith("{") and line.endswith("}")


def _line_drafts(text: str) -> Iterator[Draft]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            document: object = json.loads(line)
        except RecursionError:
            yield Draft.unreadable(where, "is nested too deeply", "one JSON object a line")
        except ValueError as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "too long a number"
            yield Draft.unreadable(where, f"malformed JSON: {reason}", "one JSON object a line")
        else:
            yield from _mixed([(where, document)])


def _mixed(items: Iterable[tuple[str, object]]) -> Iterator[Draft]:
    """Yield drafts of rows and of vLLM's and SGLang's results, each told by its keys."""
    for where, item in items:
        if isinstance(item, Mapping) and is_sglang_result(item):
            yield from sglang_drafts([(where, item)])
        elif isinstance(item, Mapping) and is_result(item):
            yield from result_drafts([(where, item)])
        else:
            yield from row_drafts([(where, item)])
