"""What a soak or a campaign ran on: the product, the programs, and the machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from demos.cluster.assets import kubernetes_folder, prometheus_program

ROOT = Path(__file__).parents[2]
_UNKNOWN = "unknown"


def ran_on(root: Path = ROOT) -> str:
    """Return a line: product, versions of all real programs, processors, and when."""
    folder = kubernetes_folder()
    programs = [
        ("Kubernetes", None if folder is None else folder / "kube-apiserver"),
        ("etcd", None if folder is None else folder / "etcd"),
        ("Prometheus", prometheus_program()),
    ]
    words = [
        f"Stoker {_asked(['git', '-C', str(root), 'describe', '--always', '--tags'])}",
        *(f"{name} {version(program)}" for name, program in programs),
        f"Python {platform.python_version()}",
        f"{os.cpu_count() or 0} processors ({platform.machine()})",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    ]
    return f"Ran on: {', '.join(words)}."


def version(program: Path | None) -> str:
    """Return what a program says its version is, such as 1.34.1."""
    if program is None:
        return _UNKNOWN
    found = re.search(r"\d+\.\d+\.\d+", _asked([str(program), "--version"]))
    return _UNKNOWN if found is None else found.group()


def _asked(command: Sequence[str]) -> str:
    """Return what a command prints; `unknown` where it does not run."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return _UNKNOWN
    return (ended.stdout or ended.stderr).strip() or _UNKNOWN
