"""The connection to Prometheus: queries in, samples out, every failure in words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from stoker.domain.control.settings import MetricSettings
from stoker.domain.errors import StokerError

_MOST_DETAIL = 300
_STATUS = re.compile(r"HTTP Status Code (\d+)")
_OF_THE_QUERY = ("400", "413", "414", "422")
"""Statuses that tell of one query: it cannot be read, is too long, or fails over what it finds."""


class SourceError(StokerError):
    """Prometheus did not answer a query; the message says why and what to check."""


class QueryRefusedError(SourceError):
    """Prometheus answered that it does not run this query; it may well run others."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of an answer.

    Attributes:
        labels: Its labels.
        value: Its value; finite.
    """

    labels: Mapping[str, str]
    value: float


class Source(Protocol):
    """Answers instant queries."""

    def query(self, promql: str, timeout_s: float) -> tuple[Sample, ...]:
        """Return the elements of the answer whose value is finite.

        Raises:
            QueryRefusedError: It does not run this query.
            SourceError: There was no answer.
        """
        ...


class PrometheusSource:
    """A Prometheus server, or anything with its query API.

    The token is read again with every query, since those of service accounts are exchanged while
    a pod runs.

    Args:
        settings: Address and credentials.

    Raises:
        SourceError: The extra `kube` is not installed.
    """

    def __init__(self, settings: MetricSettings) -> None:
        try:
            import urllib3
            from prometheus_api_client import PrometheusConnect
        except ImportError as error:
            raise SourceError(
                "reading Prometheus needs the extra `kube`: pip install 'stoker[kube]'"
            ) from error
        self._settings = settings
        self._ca_file = Path(settings.ca_file).expanduser() if settings.ca_file else None
        session = _session()
        if not settings.verify_tls:
            session.verify = False
        elif self._ca_file is not None:
            session.verify = str(self._ca_file)
        self._connection: Any = PrometheusConnect(
            url=settings.prometheus_url.rstrip("/"),
            session=session,
            # A cycle has a deadline: trying again is the business of the next one.
            retry=urllib3.util.Retry(total=0),
            method="POST",
        )

    def query(self, promql: str, timeout_s: float) -> tuple[Sample, ...]:
        """Return the elements of the answer whose value is finite.

        Raises:
            QueryRefusedError: It does not run this query.
            SourceError: There was no answer.
        """
        import requests
        from prometheus_api_client.exceptions import PrometheusApiClientException

        url = self._settings.prometheus_url
        self._connection.headers = self._headers()
        try:
            answer = self._connection.custom_query(promql, timeout=timeout_s)
        except requests.exceptions.SSLError as error:
            raise SourceError(
                f"{url}: its certificate was not accepted ({_short(error)}); set metrics.ca_file"
            ) from error
        except requests.exceptions.Timeout as error:
            raise SourceError(f"{url}: no answer within {timeout_s:g} s") from error
        except requests.exceptions.RequestException as error:
            raise SourceError(f"{url}: cannot be reached ({_short(error)})") from error
        except OSError as error:
            raise SourceError(f"metrics.ca_file: {self._ca_file}: {_short(error)}") from error
        except (PrometheusApiClientException, KeyError, TypeError, ValueError) as error:
            raise _refusal(url, promql, error) from error
        return _samples(answer)

    def _headers(self) -> dict[str, str]:
        path = self._settings.bearer_token_file
        if not path:
            return {}
        try:
            token = Path(path).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            words = getattr(error, "strerror", None) or str(error)
            raise SourceError(f"metrics.bearer_token_file: {path}: {words}") from error
        return {"Authorization": f"Bearer {token}"}


def _session() -> Any:
    """Return a session that sends queries in the body.

    The library puts them into the address. A query names the models of all servers, and proxies
    refuse addresses of more than some kilobytes.
    """
    import requests

    class InBody(requests.Session):
        def request(self, method: str, url: str, **options: Any) -> Any:  # type: ignore[override]
            options["data"] = options.pop("params", None)
            return super().request(method, url, **options)

    return InBody()


def _refusal(url: str, promql: str, error: Exception) -> SourceError:
    found = _STATUS.search(str(error))
    if found and found[1] in ("401", "403"):
        return SourceError(
            f"{url}: did not accept who asks (HTTP status {found[1]}); check "
            "metrics.bearer_token_file and what its account may do"
        )
    words = f"{url}: refused the query {_cut(promql)!r} ({_short(error)})"
    return (QueryRefusedError if found and found[1] in _OF_THE_QUERY else SourceError)(words)


def _samples(answer: object) -> tuple[Sample, ...]:
    """Return the finite samples of an answer: a vector, or the pair of a scalar."""
    if not isinstance(answer, list):
        return ()
    if len(answer) == 2 and not isinstance(answer[0], dict):
        elements: list[dict[str, Any]] = [{"metric": {}, "value": answer}]
    else:
        elements = answer
    samples = []
    for element in elements:
        value = float(element["value"][1])
        if math.isfinite(value):
            labels = {str(key): str(text) for key, text in element["metric"].items()}
            samples.append(Sample(labels, value))
    return tuple(samples)


def _short(error: Exception) -> str:
    return _cut(" ".join(str(error).split()))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_DETAIL else f"{text[:_MOST_DETAIL]}…"
