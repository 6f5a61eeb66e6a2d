"""A control loop in a process of its own, on a real API server and a real Prometheus."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from demos.cluster.prometheus import Prometheus
from tests.support.cli import ROOT, stoker
from tests.support.control_setup import ControlSetup, control_document, fleet_document
from tests.support.real_cluster import RealCluster, eventually

PATIENCE_S = 180.0


@dataclass
class RunningLoop:
    """A loop in a process of its own, with its address and what it logs."""

    setup: ControlSetup
    prometheus: Prometheus
    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def command(self, *words: object, exit_code: int = 0) -> Any:
        """Run `stoker control` about it, and return its JSON."""
        result = stoker("control", *words, "--url", self.url, "--format", "json")
        assert result.exit_code == exit_code, result.stderr
        return json.loads(result.stdout)

    def text(self, *words: object) -> str:
        result = stoker("control", *words, "--url", self.url, columns=200)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    def cycle(self) -> dict[str, Any]:
        """Have a cycle run, and return its record."""
        after = self.command("trigger")["after_cycle"]
        eventually(lambda: self.status()["cycle"] > after, PATIENCE_S)
        return self.status()

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.command("status")
        return found

    def lines(self) -> list[dict[str, Any]]:
        """What it logged, whole lines alone."""
        text = self.log.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{self.prometheus.url}/api/v1/query",
            params={"query": expression},
            timeout=60.0,
            trust_env=False,
        ).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@contextmanager
def running_loop(
    real_cluster: RealCluster,
    steady: Prometheus,
    folder: Path,
    mode: str = "advise",
    actuation: str = "scale",
) -> Iterator[RunningLoop]:
    """Run a loop over two servers; the load of one is unknown."""
    namespace = real_cluster.namespace()
    control = control_document(real_cluster, steady.url, namespace)
    # Cycles come when they are asked for.
    control["loop"] = {"mode": mode, "period_s": 3600, "deadline_s": 600}
    control["cluster"]["actuation"] = actuation
    control["records"] = {"compatible_metrics": True}
    fleet = fleet_document()
    # One more, of which nothing is known, so that something is held.
    fleet["servers"].append({**fleet["servers"][0], "name": "search", "model": "search-8b"})
    fleet["profiles"].append({**fleet["profiles"][0], "model": "search-8b"})
    (targets,) = (each["targets"] for each in fleet["service_classes"])
    targets.append({**targets[0], "model": "search-8b"})
    setup = ControlSetup(folder, real_cluster, namespace, fleet, control)
    setup.write()
    setup.deploy()
    labels = {**setup.labels, "stoker.dev/server": "search"}
    setup.deploy("search", labels=labels)
    log = folder / "log"
    command = [sys.executable, "-m", "stoker.cli.main", "control", "run", str(setup.document)]
    command += ["--metrics-port", "0", "--log-format", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as stream, (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=stream, env=environment)
    try:
        found = RunningLoop(setup, steady, "", log, process)

        def address() -> bool:
            assert process.poll() is None, log.read_text()
            for line in found.lines():
                shown = re.fullmatch(r"metrics on (http://\S+)/metrics", line["message"])
                found.url = shown[1] if shown else found.url
            return bool(found.url)

        eventually(address, PATIENCE_S)
        eventually(lambda: any(each["event"] == "cycle" for each in found.lines()), PATIENCE_S)
        with scraped(steady, found.url.removeprefix("http://")):
            yield found
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        real_cluster.vacate(namespace)


@contextmanager
def scraped(prometheus: Prometheus, address: str) -> Iterator[None]:
    """Have a Prometheus scrape one more address while the context lasts."""
    file = prometheus.folder / "targets.json"
    before = file.read_text(encoding="utf-8")

    def put(text: str) -> None:
        fresh = file.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(file)

    put(json.dumps([*json.loads(before), {"targets": [address], "labels": {}}]))
    try:
        yield
    finally:
        put(before)
