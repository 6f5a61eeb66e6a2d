"""Who measured: the device, its software, and the code itself."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import torch

from stoker.domain.timing import TimedDevice

_CODE_DIGITS = 16


def code_hash(folder: Path | None = None) -> str:
    """Return a hash of the harness's own code: of every module, by name and content."""
    digest = hashlib.sha256()
    for path in sorted((folder or Path(__file__).parent).glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"sha256:{digest.hexdigest()[:_CODE_DIGITS]}"


def device_name(device: torch.device) -> str:
    """Return the name of a device: as its driver tells it, or that of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor() or platform.machine() or "CPU"


def _processor() -> str:
    """Return the processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def device_uuid(device: torch.device) -> str | None:
    """Return the identity of a GPU as its driver has it; None where torch does not tell."""
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    if uuid is None:
        return None
    text = str(uuid)
    return text if text.startswith("GPU-") else f"GPU-{text}"


def runtime(device: torch.device, threads: int) -> str:
    """Return the versions of what computes, in words."""
    parts = [f"torch {torch.__version__}"]
    if device.type == "cuda":
        parts.append(f"CUDA {torch.version.cuda}")
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        parts += [f"cuDNN {cudnn}"] if cudnn else []
    else:
        parts.append(f"{threads} {'thread' if threads == 1 else 'threads'}")
    return ", ".join([*parts, f"Python {platform.python_version()}"])


def timed_device(
    device: torch.device,
    accelerator: str,
    count: int,
    driver: str,
    threads: int,
    idle_power_w: float | None,
) -> TimedDevice:
    """Return what is told of the device in a profile."""
    memory = None
    if device.type == "cuda":
        memory = int(torch.cuda.get_device_properties(device).total_memory)
    return TimedDevice(
        name=device_name(device),
        accelerator=accelerator,
        count=count,
        memory_bytes=memory,
        driver=driver,
        runtime=runtime(device, threads),
        idle_power_w=idle_power_w,
    )
