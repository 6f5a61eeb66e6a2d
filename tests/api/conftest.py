from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from tests.support.rest import rest_client


@pytest.fixture
def stateful() -> Iterator[TestClient[Litestar]]:
    with rest_client(stateful=True) as client:
        yield client


@pytest.fixture
def stateless() -> Iterator[TestClient[Litestar]]:
    with rest_client() as client:
        yield client
