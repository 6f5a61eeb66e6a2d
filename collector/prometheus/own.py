"""Signals by queries of the user, with the age of what answers them.

Prometheus tells the age of a series, not that of an expression. So the series that a query names
are looked for in its text, and asked for their age. Where none can be told, the user may give a
query for the age; else it is said to be unknown.
"""

from __future__ import annotations

import re

from collector.prometheus.ages import aged
from collector.prometheus.asking import Asker
from stoker.domain.control.settings import MetricSettings
from stoker.domain.control.signals import Signal

_STRING = r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)"""
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_BRACES = rf"""\{{(?:{_STRING}|[^{{}}"'`])*\}}"""
_WORDS = "and|or|unless|atan2|bool|on|ignoring|group_left|group_right|by|without|offset"
_ENDS = r"(?![a-zA-Z0-9_:])"
_TOKEN = re.compile(
    rf"(?:{_STRING}|#[^\n]*)"  # what stands in these is no series
    # A word of the language is no name: braces behind it are a selector by labels alone.
    rf"|(?P<series>(?:(?!(?i:{_WORDS}){_ENDS}){_NAME}\s*)?{_BRACES}|{_NAME}(?=\s*\[))"
    rf"|(?P<moved>(?i:offset){_ENDS}|@)"
    rf"|(?P<set>(?i:and|or|unless){_ENDS})"
    rf"|(?P<absent>(?i:absent|absent_over_time){_ENDS})"
    rf"|{_NAME}|.",
    re.DOTALL,
)
_MOST_SERIES = 4


def read_own(
    asker: Asker, query: str, age_query: str, settings: MetricSettings
) -> tuple[Signal, str]:
    """Return what a user's query tells, and what is wrong with it, in words.

    Args:
        asker: Sends queries.
        query: The query.
        age_query: The user's query for its age in seconds; empty for none.
        settings: From which age on it is stale.
    """
    samples, failure = asker.ask_own(query)
    if not failure and not samples:
        failure = f"the query {query!r} answered nothing"
    elif len(samples) > 1:
        failure = f"the query {query!r} answered {len(samples)} series; aggregate them to one"
    if failure:
        return Signal.unknown(failure), failure
    value = samples[0].value
    series = () if age_query else series_in(query)
    asked = [age_query] if age_query else [_age(each) for each in series]
    if not asked:
        reason = "its age is unknown: the query names no series by labels; tell one under `ages`"
        return Signal.without_age(value, query, reason), ""
    ages, ended = [], []
    for index, each in enumerate(asked):
        told, failure = asker.ask_own(each)
        if not failure and len(told) > 1:
            failure = f"the query {each!r} answered {len(told)} series; aggregate them to one"
        if failure:
            return Signal.without_age(value, query, f"its age is unknown: {failure}"), failure
        ages += [sample.value for sample in told]
        if series and not told:
            ended.append(series[index])
    if ages and ended and not _has_alternatives(query):
        # What is left of a rate that falls to the part of those who are there is not the load.
        reason = (
            f"its age is unknown: {', '.join(ended)} has ended, or was never there; where it need "
            "not be there, say so by `or`, or tell the age under `ages`"
        )
        return Signal.stale(value, None, query, reason), ""
    return aged(value, max(ages, default=None), query, settings), ""


def series_in(query: str) -> tuple[str, ...]:
    """Return the selectors of series in a query, as far as they can be told from its text.

    A name alone may be a metric, a label or a word of the language: it counts where it is all there
    is, or where a range follows. What is taken away by `unless`, or asked whether it is `absent`,
    is not there where all is well, and does not count. None are returned where a query asks for
    other moments (`offset`, `@`), and where there are too many to ask for.
    """
    if re.fullmatch(_NAME, query.strip()):
        return (query.strip(),)
    found = []
    depth = 0
    taken_away: int | None = None
    """The depth of parentheses at which an `unless` stands whose operand is being read."""
    absent: int | None = None
    for token in _TOKEN.finditer(query):
        text = token.group()
        if token["moved"]:
            return ()
        if text == "(":
            depth += 1
        elif text == ")":
            depth -= 1
            if absent is not None and depth <= absent:
                absent = None
        if taken_away is not None and (
            depth < taken_away or (depth == taken_away and (token["set"] or text == ","))
        ):
            taken_away = None
        if text.lower() == "unless" and taken_away is None:
            taken_away = depth
        if token["absent"] and absent is None:
            absent = depth
        if token["series"] and taken_away is None and absent is None:
            found.append(token["series"])
    distinct = tuple(dict.fromkeys(found))
    return distinct if len(distinct) <= _MOST_SERIES else ()


def _has_alternatives(query: str) -> bool:
    """Return whether a query says what stands in for a series that is not there."""
    return any((token["set"] or "").lower() == "or" for token in _TOKEN.finditer(query))


def _age(series: str) -> str:
    return f"time() - max(timestamp({series}))"
