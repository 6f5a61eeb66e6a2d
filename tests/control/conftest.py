"""A set-up for the loop: documents, a deployment, Prometheus, an API server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from demos.cluster.closed_loop import missing_programs
from demos.cluster.prometheus import Prometheus
from tests.support.broken_world import BrokenWorld, broken_world
from tests.support.control_setup import (
    ControlSetup,
    control_document,
    fleet_document,
    steady_prometheus,
)
from tests.support.real_cluster import RealCluster


@pytest.fixture(scope="session")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    yield from steady_prometheus(tmp_path_factory.mktemp("prometheus"))


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokenWorld]:
    """A closed loop whose world tests break, and mend again."""
    missing = missing_programs()
    if missing:
        if os.environ.get("STOKER_REQUIRE_CLUSTER"):
            pytest.fail(missing)
        pytest.skip(missing)
    with broken_world(tmp_path_factory.mktemp("broken")) as world:
        yield world


@pytest.fixture
def control_setup(
    real_cluster: RealCluster, steady: Prometheus, tmp_path: Path
) -> Iterator[ControlSetup]:
    namespace = real_cluster.namespace()
    yield ControlSetup(
        tmp_path,
        real_cluster,
        namespace,
        fleet_document(),
        control_document(real_cluster, steady.url, namespace),
    )
    real_cluster.vacate(namespace)
