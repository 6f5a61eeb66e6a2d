"""Load that comes again season after season: Holt-Winters with a damped trend, by statsmodels.

What costs is to find the parameters of the smoothing. They hardly change from cycle to cycle: those
that were found are used again, on all samples there are by then, until they are old.
"""

from __future__ import annotations

import itertools
import math
import statistics
import warnings
from dataclasses import dataclass
from typing import Any

from controller.history import LoadHistory
from stoker.domain.control.settings import ForecastSettings

SEASON_STEPS = 288
"""Most steps of a season: five minutes of a day."""

_SEASONS_NEEDED = 2
_REFITS_PER_SEASON = 24
_PATHS = 400


@dataclass(frozen=True, slots=True)
class SeasonFit:
    """Parameters of the smoothing, as they were found once.

    Attributes:
        at: When, in seconds since the epoch.
        period: Steps of a season.
        level: Smoothing of the level.
        trend: Smoothing of the trend.
        season: Smoothing of the season.
        damping: Damping of the trend.
    """

    at: float
    period: int
    level: float
    trend: float
    season: float
    damping: float

    def old(self, at: float, settings: ForecastSettings) -> bool:
        """Return whether they are to be found anew: a few times a season."""
        return not 0 <= at - self.at < settings.season_s / _REFITS_PER_SEASON


@dataclass(frozen=True, slots=True)
class SeasonForecast:
    """What a season foretells.

    Attributes:
        rate_rps: Requests per second at the quantile asked for; never below 0.
        middle_rps: Requests per second in the middle.
        fit: The parameters that told it.
    """

    rate_rps: float
    middle_rps: float
    fit: SeasonFit


def period_of(history: LoadHistory, settings: ForecastSettings) -> int | str:
    """Return the steps of a season that samples tell of, or why they do not tell of a season."""
    if not history.samples:
        return "no history"
    seen_s = history.samples[-1].at - history.samples[0].at
    if seen_s < _SEASONS_NEEDED * settings.season_s:
        return (
            f"{seen_s:.0f} s of history; a season of {settings.season_s:g} s needs "
            f"{_SEASONS_NEEDED} of them"
        )
    spacing_s = statistics.median(
        after.at - before.at for before, after in itertools.pairwise(history.samples)
    )
    step_s = max(spacing_s, settings.season_s / SEASON_STEPS)
    period = round(settings.season_s / step_s)
    if period < 2:
        return f"samples every {spacing_s:.0f} s; a season of {settings.season_s:g} s needs more"
    needed = 10 + 2 * (period // 2)  # what the library begins a level with
    if seen_s * period / settings.season_s + 1 < needed:
        return f"{seen_s:.0f} s of history; a season of {period} steps needs {needed} of them"
    return period


def _ahead(smoothed: Any, fit: SeasonFit, steps: int) -> float:
    """Return the forecast so many steps ahead; the library would smooth all samples again."""
    trend = sum(fit.damping**step for step in range(1, steps + 1)) * smoothed.trend[-1]
    season = smoothed.season[len(smoothed.season) - fit.period + (steps - 1) % fit.period]
    return float(smoothed.level[-1] + trend + season)


def foretell_season(
    history: LoadHistory,
    horizon_s: float,
    settings: ForecastSettings,
    fit: SeasonFit | None,
    library: Any,
) -> SeasonForecast | str:
    """Return the forecast with a season, or why there is none.

    Args:
        history: What was measured.
        horizon_s: For how far ahead.
        settings: The season, and the quantile.
        fit: Parameters to use again; None to find them, and where they are of another season they
            are found anew.
        library: ``statsmodels.api``.
    """
    import numpy as np

    period = period_of(history, settings)
    if isinstance(period, str):
        return period
    rates = np.array(history.grid(settings.season_s / period))
    steps = max(1, math.ceil(horizon_s * period / settings.season_s))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that stops early still foretells
        model = library.tsa.ExponentialSmoothing(
            rates,
            trend="add",
            damped_trend=True,
            seasonal="add",
            seasonal_periods=period,
            initialization_method="heuristic",
        )
        if fit is None or fit.period != period:
            smoothed = model.fit()
            told = smoothed.params
            fit = SeasonFit(
                history.samples[-1].at,
                period,
                float(told["smoothing_level"]),
                float(told["smoothing_trend"]),
                float(told["smoothing_seasonal"]),
                float(told["damping_trend"]),
            )
        else:
            smoothed = model.fit(
                smoothing_level=fit.level,
                smoothing_trend=fit.trend,
                smoothing_seasonal=fit.season,
                damping_trend=fit.damping,
                optimized=False,
            )
        middle = _ahead(smoothed, fit, steps)
        paths = smoothed.simulate(steps, repetitions=_PATHS, rng=np.random.default_rng(len(rates)))
    upper = float(np.quantile(np.asarray(paths)[-1], settings.quantile))
    if not (math.isfinite(middle) and math.isfinite(upper)):
        return "the fit of the season did not come to finite figures"
    return SeasonForecast(max(0.0, upper), max(0.0, middle), fit)
