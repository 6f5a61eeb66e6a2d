"""The connection to Prometheus: queries in, samples out, every failure in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from stoker.domain.control.settings import MetricSettings
from stoker.domain.errors import StokerError

_MOST_DETAIL = 300


class SourceError(StokerError):
    """Prometheus did not answer a query; the message says why and what to check."""


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
            import requests
            import urllib3
            from prometheus_api_client import PrometheusConnect
        except ImportError as error:
            raise SourceError(
                "reading Prometheus needs the extra `kube`: pip install 'stoker[kube]'"
            ) from error
        self._settings = settings
        session = requests.Session()
        session.verify = (settings.ca_file or True) if settings.verify_tls else False
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
            SourceError: There was no answer, or a refusal.
        """
        import requests
        from prometheus_api_client.exceptions import PrometheusApiClientException

        self._connection.headers = self._headers()
        try:
            answer = self._connection.custom_query(promql, timeout=timeout_s)
        except requests.exceptions.SSLError as error:
            raise SourceError(
                f"{self._settings.prometheus_url}: its certificate was not accepted "
                f"({_short(error)}); set metrics.ca_file"
            ) from error
        except requests.exceptions.Timeout as error:
            raise SourceError(
                f"{self._settings.prometheus_url}: no answer within {timeout_s:g} s"
            ) from error
        except requests.exceptions.RequestException as error:
            raise SourceError(
                f"{self._settings.prometheus_url}: cannot be reached ({_short(error)})"
            ) from error
        except (PrometheusApiClientException, KeyError, TypeError, ValueError) as error:
            raise SourceError(
                f"{self._settings.prometheus_url}: refused the query {promql!r} ({_short(error)})"
            ) from error
        return _samples(answer)

    def _headers(self) -> dict[str, str]:
        path = self._settings.bearer_token_file
        if not path:
            return {}
        try:
            token = Path(path).expanduser().read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SourceError(
                f"metrics.bearer_token_file: {path}: {error.strerror or error}"
            ) from error
        return {"Authorization": f"Bearer {token}"}


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
    text = " ".join(str(error).split())
    return text if len(text) <= _MOST_DETAIL else f"{text[:_MOST_DETAIL]}…"
