"""Gauges of a device: clock, temperature and power, read from its driver."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

_LOGGER = logging.getLogger(__name__)
_MILLI = 1e-3
_IDLE_READINGS = 5


@dataclass(frozen=True, slots=True)
class Reading:
    """What the gauges show; None where a device does not tell.

    Attributes:
        clock_mhz: Clock of its processors.
        temperature_c: Temperature.
        power_w: Power.
    """

    clock_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None


class Gauges(Protocol):
    """Reads a device."""

    @property
    def driver(self) -> str:
        """Version of the driver; empty where there is none."""
        ...

    def read(self) -> Reading:
        """Return what the gauges show now."""
        ...


class NoGauges:
    """A device that tells nothing."""

    driver = ""

    def read(self) -> Reading:
        """Return nothing known."""
        return Reading()


class NvmlGauges:
    """The gauges of an NVIDIA GPU."""

    def __init__(self, library: ModuleType, uuid: str | None, index: int) -> None:
        """Find the device.

        Args:
            library: pynvml, or what has its functions.
            uuid: Identity of the device as torch tells it; numbers of devices may differ.
            index: Its number, where there is no identity.

        Raises:
            library.NVMLError: There is no such device, or no driver.
        """
        self._library = library
        library.nvmlInit()
        self._handle = (
            library.nvmlDeviceGetHandleByIndex(index)
            if uuid is None
            else library.nvmlDeviceGetHandleByUUID(uuid.encode())
        )
        version = library.nvmlSystemGetDriverVersion()
        self.driver = version.decode() if isinstance(version, bytes) else str(version)

    def read(self) -> Reading:
        """Return what the gauges show now, one by one: some cards lack some of them."""
        library, handle = self._library, self._handle
        return Reading(
            self._value(lambda: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM)),
            self._value(
                lambda: library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU)
            ),
            self._value(lambda: library.nvmlDeviceGetPowerUsage(handle) * _MILLI),
        )

    def _value(self, get: Callable[[], float]) -> float | None:
        try:
            return float(get())
        except self._library.NVMLError as error:
            _LOGGER.debug("a gauge of the device cannot be read: %s", error)
            return None


def nvml_gauges(uuid: str | None, index: int) -> Gauges:
    """Return the gauges of an NVIDIA GPU, or none where its driver cannot be asked."""
    try:
        import pynvml
    except ImportError:
        return NoGauges()
    for identity in dict.fromkeys((uuid, None)):
        try:
            return NvmlGauges(pynvml, identity, index)
        except pynvml.NVMLError as error:
            _LOGGER.debug("no gauges by %s: %s", identity or index, error)
    return NoGauges()


def idle_power_w(
    gauges: Gauges, pause: Callable[[float], None] = time.sleep, interval_s: float = 0.2
) -> float | None:
    """Return the power of a device that does nothing: the median of some readings."""
    if gauges.read().power_w is None:
        return None
    readings = []
    for _ in range(_IDLE_READINGS):
        pause(interval_s)
        readings.append(gauges.read().power_w)
    known = [power for power in readings if power is not None]
    return statistics.median(known) if known else None
