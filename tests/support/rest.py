"""Applications and clients for tests of the REST service."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

from api.app import create_app


@contextmanager
def rest_client(**options: Any) -> Iterator[TestClient[Litestar]]:
    """A client of an application of its own."""
    with TestClient(create_app(**options), raise_server_exceptions=False) as client:
        yield client


def upper_keys(document: object) -> object:
    """A document with all its keys in capitals."""
    if isinstance(document, dict):
        return {key.upper(): upper_keys(value) for key, value in document.items()}
    if isinstance(document, list):
        return [upper_keys(item) for item in document]
    return document
