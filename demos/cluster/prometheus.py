"""A real Prometheus server on loopback, with targets that may change while it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from demos.cluster.assets import prometheus_program
from demos.cluster.processes import ServerProcess, free_port

_READY_S = 60.0
_REQUEST_S = 2.0


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """An endpoint to scrape.

    Attributes:
        address: Host and port.
        labels: Labels that its series get.
        path: Path of its metrics.
    """

    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    path: str = "/metrics"


class Prometheus:
    """One Prometheus server, as a context manager.

    Args:
        folder: Folder for its configuration, data and log.
        scrape_interval_s: Time between scrapes of a target.
        certificate: Certificate for HTTPS, which clients verify it with too; None for HTTP.
        key: Key of the certificate.

    Raises:
        FileNotFoundError: The program is not on this machine (on entering).
        ServerFailedError: It does not get ready (on entering).
    """

    def __init__(
        self,
        folder: Path,
        scrape_interval_s: float = 1.0,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self.folder = folder
        self._certificate = certificate
        self._key = key
        self.port = free_port()
        self._interval_s = scrape_interval_s
        self.server: ServerProcess | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http{'s' if self._certificate else ''}://127.0.0.1:{self.port}"

    @property
    def _targets(self) -> Path:
        return self.folder / "targets.json"

    def set_targets(self, targets: Sequence[ScrapeTarget]) -> None:
        """Replace the endpoints that it scrapes; it follows within a few seconds."""
        groups = [
            {
                "targets": [target.address],
                "labels": {**target.labels, "__metrics_path__": target.path},
            }
            for target in targets
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self._targets.with_suffix(".new")
        fresh.write_text(json.dumps(groups), encoding="utf-8")
        fresh.replace(self._targets)

    def __enter__(self) -> Prometheus:
        program = prometheus_program()
        if program is None:
            raise FileNotFoundError("prometheus: not found; on Debian: apt install prometheus")
        if not self._targets.exists():
            self.set_targets(())
        interval = f"{round(self._interval_s * 1000)}ms"
        config = self.folder / "prometheus.json"  # JSON is YAML too
        config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": interval, "scrape_timeout": interval},
                    "scrape_configs": [
                        {
                            "job_name": "models",
                            "honor_labels": True,
                            "file_sd_configs": [
                                {"files": [str(self._targets)], "refresh_interval": "1s"}
                            ],
                        }
                    ],
                }
            ),
            encoding="utf-8",
        )
        self.server = ServerProcess(
            "prometheus",
            [
                str(program),
                f"--config.file={config}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=warn",
                *self._web(),
            ],
            self.folder / "prometheus.log",
        )
        self.server.start()
        try:
            self.wait_ready()
        except BaseException:
            self.server.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.server is not None:
            self.server.stop()

    def _web(self) -> tuple[str, ...]:
        """Return the arguments for HTTPS; none without a certificate."""
        if self._certificate is None:
            return ()
        tls = {"cert_file": str(self._certificate), "key_file": str(self._key)}
        path = self.folder / "web.json"
        path.write_text(json.dumps({"tls_server_config": tls}), encoding="utf-8")
        return (f"--web.config.file={path}",)

    def wait_ready(self, timeout_s: float = _READY_S) -> None:
        """Wait until it answers queries.

        Raises:
            ServerFailedError: It ended, or the time passed.
        """
        assert self.server is not None
        self.server.wait_until(self._answers, timeout_s)

    def _answers(self) -> bool:
        try:
            certificate = None if self._certificate is None else str(self._certificate)
            with urllib3.PoolManager(retries=False, ca_certs=certificate) as pool:
                status = pool.request("GET", f"{self.url}/-/ready", timeout=_REQUEST_S).status
        except (urllib3.exceptions.HTTPError, OSError):
            return False
        return status == 200
