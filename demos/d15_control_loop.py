"""The control loop over a day: a real API server and Prometheus, emulated GPUs and servers.

A chat that is busy by day and reports that are written by night share cards. The loop of
`stoker control run` measures them in Prometheus, foretells, plans and scales their Deployments;
the day lasts a few minutes, and the times of the loop are as much shorter. A page shows it while it
runs; Ctrl-C ends the day, and everything that was started.

Needs the extra `kube`, the Kubernetes programs (`tools/build_kubernetes.sh`) and Prometheus.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from demos.report import publish
from stoker.domain.errors import StokerError

NAME = "15-control-loop"
DAY_S = 300.0
_SIGNALLED = 130


def main(output: Path, format: str = "table", day_s: float = DAY_S) -> dict[str, object]:
    """Run the demonstration; see the package for the arguments.

    Args:
        output: Directory for the pictures and the data.
        format: ``table`` or ``json``.
        day_s: How long the day lasts.

    Raises:
        StokerError: What it needs is missing.
    """
    try:
        from demos.cluster.day import play
    except ModuleNotFoundError as error:
        raise StokerError(
            "a cluster on this machine needs the extra `kube`: pip install 'stoker[kube]'"
        ) from error
    return publish(play(day_s), output, format)


def _script() -> None:
    parser = argparse.ArgumentParser(prog=NAME)
    parser.add_argument("--output", type=Path, default=Path("demo-output") / NAME, metavar="DIR")
    parser.add_argument("--format", choices=["table", "json"], default="table")
    parser.add_argument("--day", type=float, default=DAY_S, metavar="SECONDS")
    given = parser.parse_args()
    if given.day <= 0:
        parser.error("--day: more than 0 seconds")
    try:
        main(given.output, given.format, given.day)
    except StokerError as error:
        parser.exit(2, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(_SIGNALLED, "stopped; nothing that it started runs any more\n")


if __name__ == "__main__":
    _script()
