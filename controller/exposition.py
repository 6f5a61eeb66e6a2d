"""The loop's metrics over HTTP, for Prometheus to scrape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from controller.metrics import ControlMetrics


@contextmanager
def exposed(metrics: ControlMetrics, host: str, port: int) -> Iterator[int]:
    """Serve the metrics at ``/metrics`` while the context lasts; yields the port.

    Raises:
        OSError: Nobody may listen there.
    """
    registry = CollectorRegistry()
    registry.register(metrics)
    server, thread = start_http_server(port, host, registry)
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
