"""A timing run as a harness would hand it over, failed cases included."""

from stoker.domain.timing import (
    CaseStatus,
    CaseTiming,
    IterationCase,
    TimedDevice,
    TimedMemory,
    TimedModel,
    TimingRun,
)


def timed(case: IterationCase, median_ms: float) -> CaseTiming:
    return CaseTiming(
        case,
        CaseStatus.OK,
        samples_ms=(median_ms * 0.99, median_ms, median_ms * 3, median_ms * 1.01),
        outliers=(2,),
        median_ms=median_ms,
        spread_ms=median_ms * 0.01,
        clock_mhz=1980.0,
        temperature_c=41.5,
        power_w=502.25,
        memory_bytes=60_000_000_000,
    )


def timing_run(floor_ms: float = 6.0, accelerator: str = "H100") -> TimingRun:
    """Return a run over batch and prompts of an engine that takes a known affine time."""
    decodes = [
        timed(IterationCase(0, 0, batch, context), floor_ms + 0.02 * batch + 3e-5 * batch * context)
        for context in (1024, 128)
        for batch in (64, 1, 8)
    ]
    prefills = [
        timed(IterationCase(tokens, 0, 0, 0), floor_ms + 0.02 * tokens) for tokens in (512, 2048)
    ]
    mixed = timed(IterationCase(512, 0, 8, 1024), floor_ms + 0.02 * 520 + 3e-5 * 8 * 1024)
    failed = CaseTiming(
        IterationCase(0, 0, 512, 131072),
        CaseStatus.OUT_OF_MEMORY,
        reason="tried to allocate 16 GiB",
    )
    return TimingRun(
        TimedModel("Llama-3.1-8B", 32, (8, 16), "bf16", "bf16", "flash", "paged", "cuda-graph"),
        TimedDevice(
            "NVIDIA H100 80GB HBM3", accelerator, 1, 85_000_000_000, "550.54", "torch 2.9", 70.5
        ),
        TimedMemory(16_060_000_000, 131_072, ((1024, 512), (131072, 3))),
        (*decodes, *prefills, mixed, failed),
        "0f3a",
        "2026-11-21T14:00:00+00:00",
        7,
    )
