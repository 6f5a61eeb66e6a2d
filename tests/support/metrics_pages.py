"""Pages of metrics in Prometheus' classic text format, whose figures follow the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Page = Callable[[float], str]
"""Text of a page, by seconds since the server started; an empty text answers with status 500."""


class MetricsPages:
    """An HTTP server on loopback with one page of metrics a path."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self.pages = dict(pages)
        self.began = time.monotonic()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = outer.pages.get(self.path)
                text = "" if page is None else page(time.monotonic() - outer.began)
                self.send_response(200 if text else 500)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                with suppress(ConnectionError):  # a scrape that took too long was given up
                    self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> MetricsPages:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


def line(name: str, value: float, **labels: str) -> str:
    """One sample."""
    inner = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {value!r}\n"


def histogram(name: str, buckets: Mapping[str, float], total: float, **labels: str) -> str:
    """A histogram from cumulative counts by bound; `total` is the sum of what was observed."""
    text = "".join(line(f"{name}_bucket", count, **labels, le=le) for le, count in buckets.items())
    text += line(f"{name}_sum", total, **labels)
    return text + line(f"{name}_count", buckets["+Inf"], **labels)
