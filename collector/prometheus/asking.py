"""One round of queries: within its time, and ended when Prometheus does not answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from collector.prometheus import promql
from collector.prometheus.candidates import PREFIXES
from collector.prometheus.source import QueryRefusedError, Sample, Source, SourceError
from stoker.domain.control.settings import MetricSettings


class Asker:
    """Sends queries until the source fails or time is up; from then on nothing answers.

    A query that is refused fails alone: what one of them finds (two servers on one instance, say)
    tells nothing of the others.

    Args:
        source: Where to ask.
        settings: How long to wait for one answer.
        time_left_s: Tells how many seconds are left for all.

    Attributes:
        failure: Why nothing answers any more; empty while something may.
        unnamed: Why nobody tells which series there are; empty where that is known.
        problems: What did not work, in words.
        sent: Queries that were sent.
    """

    def __init__(
        self, source: Source, settings: MetricSettings, time_left_s: Callable[[], float]
    ) -> None:
        self._source = source
        self._settings = settings
        self._time_left_s = time_left_s
        self.failure = ""
        self.unnamed = ""
        self.problems: list[str] = []
        self.sent = 0

    def ask(self, query: str) -> tuple[Sample, ...]:
        """Return the answer to a query; nothing where it is refused, or something failed."""
        return self.answer(query)[0]

    def answer(self, query: str) -> tuple[tuple[Sample, ...], str]:
        """Return the answer to a query, and why there is none, in words; empty where there is."""
        if self.failure:
            return (), self.failure
        left = self._time_left_s()
        if left <= 0:
            self._fail("the time of the cycle was up before Prometheus was asked everything")
            return (), self.failure
        self.sent += 1
        try:
            return self._source.query(query, min(left, self._settings.timeout_s)), ""
        except QueryRefusedError as error:
            self.problems.append(str(error))
            return (), str(error)
        except SourceError as error:
            self._fail(str(error))
            return (), self.failure

    def ask_own(self, query: str) -> tuple[tuple[Sample, ...], str]:
        """Ask a user's query: its failure is its own, and told beside the answer."""
        if self.failure:
            return (), self.failure
        left = self._time_left_s()
        if left <= 0:
            return (), "the time of the cycle was up"
        self.sent += 1
        try:
            return self._source.query(query, min(left, self._settings.timeout_s)), ""
        except SourceError as error:
            return (), str(error)

    def names_there(self) -> Mapping[str, float]:
        """Return the series by name of metric, of all names that any candidate needs."""
        samples, self.unnamed = self.answer(promql.names_there(PREFIXES))
        if not samples and not self.unnamed:
            self.problems.append(
                f"{self._settings.prometheus_url}: has no series of vLLM, SGLang or a gateway "
                f"(names beginning with {', '.join(PREFIXES)}); check what it scrapes"
            )
        return {sample.labels.get("__name__", ""): sample.value for sample in samples}

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self.problems.append(reason)
