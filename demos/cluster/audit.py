"""Who asked the API server for what: its audit log, for some users."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


def audit_arguments(folder: Path, log: Path, users: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments of an API server that have requests written down; none for nobody.

    Args:
        folder: Folder for the policy.
        log: File that takes a line of JSON a request.
        users: Names of the users whose requests are written down.
    """
    if not users:
        return ()
    policy = folder / "audit-policy.json"
    policy.write_text(
        json.dumps(
            {
                "apiVersion": "audit.k8s.io/v1",
                "kind": "Policy",
                "omitStages": ["RequestReceived", "ResponseStarted"],
                "rules": [{"level": "Metadata", "users": list(users)}, {"level": "None"}],
            }
        ),
        encoding="utf-8",
    )
    return f"--audit-policy-file={policy}", f"--audit-log-path={log}"
