"""Where the programs of the control plane and Prometheus lie on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

COMMANDS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def kubernetes_folder() -> Path | None:
    """Return the folder that holds all of `COMMANDS`, or None.

    Looked for in this order: ``$KUBEBUILDER_ASSETS`` (the convention of envtest), beside a
    kube-apiserver on the PATH, and in the cache that ``tools/build_kubernetes.sh`` fills.
    """
    named = os.environ.get("KUBEBUILDER_ASSETS")
    on_path = shutil.which("kube-apiserver")
    folders = [
        *([Path(named)] if named else []),
        *([Path(on_path).parent] if on_path else []),
        _cache() / "kubernetes" / "bin",
    ]
    for folder in folders:
        if all(os.access(folder / name, os.X_OK) for name in COMMANDS):
            return folder
    return None


def prometheus_program() -> Path | None:
    """Return the Prometheus server on the PATH, or None."""
    found = shutil.which("prometheus")
    return Path(found) if found else None


def _cache() -> Path:
    own = os.environ.get("STOKER_CACHE")
    if own:
        return Path(own)
    common = os.environ.get("XDG_CACHE_HOME")
    return (Path(common) if common else Path.home() / ".cache") / "stoker"
