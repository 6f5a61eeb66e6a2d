"""Pictures of timed iterations show what was timed."""

import numpy as np
from matplotlib.figure import Figure

from data.catalogue import load_catalogue
from profiler.harness.cases import Limits, candidates
from profiler.iterations import fit_iterations
from queueing.roofline import Deployment, decode_time, prefill_time
from stoker.cli.plots.profile_run import run_figures
from stoker.domain.timing import (
    CaseStatus,
    CaseTiming,
    IterationCase,
    TimedDevice,
    TimedMemory,
    TimedModel,
    TimingRun,
)

LIMITS = Limits(max_batch=256, max_context=16_384, max_prefill=16_384, kv_tokens=400_000)


def pretended_run(timings: tuple[CaseTiming, ...], model: str = "Llama-3.1-8B") -> TimingRun:
    return TimingRun(
        TimedModel(model, 32, (4, 8), "bf16", "bf16", "flash", "contiguous", "cuda-graph"),
        TimedDevice("a card", "H100-SXM-80GB", 1, 80_000_000_000, "570", "torch"),
        TimedMemory(16_000_000_000, 131_072),
        timings,
        "sha256:0",
        "2026-01-01T00:00:00+00:00",
        0,
    )


def estimated_timings() -> tuple[CaseTiming, ...]:
    catalogue = load_catalogue()
    deployment = Deployment(catalogue.model("Llama-3.1-8B"), catalogue.accelerator("H100"))
    dice = np.random.default_rng(0)
    timings = []
    for case in candidates(LIMITS):
        if case.decode_batch * case.context_tokens > 350_000:
            timings.append(CaseTiming(case, CaseStatus.OUT_OF_MEMORY, reason="full"))
            continue
        time = 0.0
        if case.decode_batch:
            time += float(decode_time(deployment, case.decode_batch, case.context_tokens).total_ms)
        if case.prefill_tokens:
            prefill = prefill_time(deployment, case.prefill_tokens, case.prefix_tokens)
            time += float(prefill.total_ms)
        time *= float(dice.lognormal(0.0, 0.01))
        timings.append(CaseTiming(case, CaseStatus.OK, (time,) * 9, (), time, 0.02 * time))
    return tuple(timings)


def words(figure: Figure) -> str:
    texts = [text.get_text() for text in figure.findobj() if hasattr(text, "get_text")]
    return " ".join(" ".join(texts).split())


def test_every_picture_says_what_it_shows() -> None:
    run = pretended_run(estimated_timings())
    figures = run_figures(run, fit_iterations(run.timings), "H100-SXM-80GB")
    assert "scaled up from 4 and 8 of 32 layers" in words(figures["decode-time"])
    assert "did not run" in words(figures["decode-time"])
    assert "output tokens per second" in words(figures["throughput"])
    assert "behind" in words(figures["prefill-time"])
    assert "overlap: mean error" in words(figures["residuals"])
    assert "roofline: peaks of the card" in words(figures["roofline"])
    axes = figures["roofline"].axes[0]
    ideal, _, measured = (np.asarray(line.get_ydata(), float) for line in axes.get_lines())
    assert np.all(ideal < measured)


def test_nothing_to_draw_is_said_in_words() -> None:
    failed = CaseTiming(IterationCase(0, 0, 1, 16), CaseStatus.FAILED, reason="x")
    figures = run_figures(pretended_run((failed,), "unheard-of"), fit_iterations([failed]), "")
    assert "No decode iteration was timed" in words(figures["decode-time"])
    assert "No prefill iteration was timed" in words(figures["prefill-time"])
    assert "tell the parameters of no model" in words(figures["residuals"])
    assert "there is no roofline" in words(figures["roofline"])
