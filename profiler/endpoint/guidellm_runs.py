"""Runs of GuideLLM: points of one shape in one process, its report read back as rows.

It runs as a process of its own, from a scenario file, so that its settings and its many imports
stay there. Prompts come from a file that is written for the run, and the server's own counts of
tokens are taken: no tokenizer is loaded, and nothing is downloaded.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from data.measurements import Unrecorded, read_measurements
from profiler.endpoint.operating_points import OperatingPoint
from profiler.endpoint.server import Deployment, Server, prompt_of
from stoker.domain.errors import InvalidInputError, StokerError
from stoker.domain.measurement import LoadKind, Measurement

_WARM_UP, _COOL_DOWN = 0.15, 0.05
"""Shares of a run whose requests are not counted: the loop fills, and empties."""

_PROMPT_SPREAD, _OUTPUT_SPREAD = 0.25, 0.5
"""How far lengths go up and down from those asked for, uniformly.

Clients whose requests are all of one length start and end together for ever, in waves that no
users make.
"""

_START_S = 180.0
"""Time that a process may take beside the load, at most."""

_MOST_PROMPTS = 20_000


class MissingGuideLlmError(StokerError):
    """GuideLLM is not installed."""

    def __init__(self) -> None:
        super().__init__("GuideLLM is not installed: pip install 'stoker[load]'")


class RunFailedError(StokerError):
    """GuideLLM ended without a report."""


@dataclass(frozen=True, slots=True)
class GuideLlmRuns:
    """Measures points of a server.

    Attributes:
        server: The server.
        deployment: What is known of it.
        seed: Of prompts and arrivals.
    """

    server: Server
    deployment: Deployment
    seed: int = 0

    def __post_init__(self) -> None:
        """Check that GuideLLM is there.

        Raises:
            MissingGuideLlmError: It is not.
        """
        if find_spec("guidellm") is None:
            raise MissingGuideLlmError

    def measure(
        self, points: Sequence[OperatingPoint], seconds: float, turn: int
    ) -> list[Measurement]:
        """Return a row for each point, in their order.

        Args:
            points: Points of one shape and kind of load.
            seconds: Length of the load of each.
            turn: Number of the run, that no prompt comes twice.

        Raises:
            RunFailedError: GuideLLM ended without a report, or its report has no such rows.
        """
        with tempfile.TemporaryDirectory(prefix="stoker-endpoint-") as name:
            folder = Path(name)
            prompts, report = folder / "prompts.jsonl", folder / "report.json"
            prompts.write_text(self._prompts(points, seconds, turn), encoding="utf-8")
            scenario = folder / "scenario.json"
            scenario.write_text(json.dumps(self._scenario(points, seconds, prompts, report)))
            self._run(scenario, folder, len(points) * seconds)
            if not report.is_file():
                raise RunFailedError("GuideLLM wrote no report")
            return self._rows(report.read_text(encoding="utf-8"), points)

    def _prompts(self, points: Sequence[OperatingPoint], seconds: float, turn: int) -> str:
        """Return as many prompts as the run can use, one a line."""
        each_s = self.server.token_s * points[0].out_tokens
        most = max(
            point.load * seconds * (1.5 if point.kind is LoadKind.RATE else 2.0 / each_s)
            for point in points
        )
        count = min(max(math.ceil(most), 64), _MOST_PROMPTS)
        draws = random.Random(f"{self.seed}/{turn}")
        lines = (json.dumps(self._request(points[0], draws)) for _ in range(count))
        return "\n".join(lines) + "\n"

    def _request(self, point: OperatingPoint, draws: random.Random) -> dict[str, object]:
        """Return a request of about the lengths of a point."""
        prompt = point.in_tokens * draws.uniform(1 - _PROMPT_SPREAD, 1 + _PROMPT_SPREAD)
        output = point.out_tokens * draws.uniform(1 - _OUTPUT_SPREAD, 1 + _OUTPUT_SPREAD)
        words = max(1, round(prompt / self.server.tokens_per_word))
        return {
            "prompt": prompt_of(words, draws),
            "prompt_tokens_count": max(1, round(prompt)),
            "output_tokens_count": max(1, round(output)),
        }

    def _scenario(
        self, points: Sequence[OperatingPoint], seconds: float, prompts: Path, report: Path
    ) -> dict[str, object]:
        profiles = [_profile(point) for point in points]
        backend: dict[str, object] = {
            "kind": "openai_http",
            "target": self.server.url,
            "model": self.server.model,
            "request_format": "/v1/completions",
            "http2": False,
        }
        if self.server.key:
            backend["api_key"] = self.server.key  # the folder is readable for its owner alone
        spec: dict[str, object] = {
            "backend": backend,
            "profile": profiles[0],
            "constraints": [{"kind": "max_duration", "seconds": seconds}],
            "data": [{"kind": "json_file", "path": str(prompts)}],
            "seed": {"kind": "static", "value": self.seed},
            "outputs": [{"kind": "json", "path": str(report)}],
        }
        return {"spec": spec, "benchmarks": [{"profile": profile} for profile in profiles]}

    def _run(self, scenario: Path, folder: Path, load_s: float) -> None:
        command = [sys.executable, "-m", "guidellm", "run", "--config", str(scenario)]
        try:
            done = subprocess.run(
                [*command, "--disable-console"],
                cwd=folder,
                env=self._environment(),
                capture_output=True,
                text=True,
                timeout=_START_S + 3.0 * load_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RunFailedError("GuideLLM did not end in time") from None
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise RunFailedError(f"GuideLLM ended with {done.returncode}: {''.join(last)}")

    def _environment(self) -> dict[str, str]:
        """Return the environment: offline, quiet, one worker."""
        return dict(os.environ) | {
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "GUIDELLM__MAX_WORKER_PROCESSES": "1",
            "GUIDELLM__LOGGING__CONSOLE_LOG_LEVEL": "ERROR",
            "PYTHONWARNINGS": "ignore",
        }

    def _rows(self, report: str, points: Sequence[OperatingPoint]) -> list[Measurement]:
        known = self.deployment
        beside = Unrecorded(
            known.model,
            known.gpu,
            known.n_gpus,
            known.engine,
            known.precision,
            known.max_batch,
            known.token_budget,
        )
        try:
            rows = read_measurements(report, "GuideLLM's report", beside).rows
        except InvalidInputError as error:
            raise RunFailedError(str(error)) from error
        by_load: Mapping[float, Measurement] = {row.load: row for row in rows}
        found = []
        for point in points:
            row = by_load.get(point.load)
            if row is None:
                raise RunFailedError(f"GuideLLM's report has no row of {point.name}")
            found.append(
                replace(row, model=known.model, name=point.name, source="stoker profile endpoint")
            )
        return found


def _profile(point: OperatingPoint) -> dict[str, object]:
    """Return the load of a point in GuideLLM's words."""
    if point.kind is LoadKind.RATE:
        load: dict[str, object] = {"kind": "constant", "rate": [point.load]}
    else:
        load = {"kind": "concurrent", "streams": [round(point.load)]}
    return load | {"warmup": _WARM_UP, "cooldown": _COOL_DOWN}
