"""What the load of a server will be by the time that new replicas are ready.

The models are those of statsmodels: a straight line by least squares, and Holt-Winters with a
damped trend and a season. A quantile above the middle makes room for what they cannot foresee.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from controller.history import LoadHistory
from controller.season import SeasonFit, SeasonForecast, foretell_season
from stoker.domain.control.choices import ForecastMethod
from stoker.domain.control.settings import ForecastSettings
from stoker.domain.errors import StokerError

_FEWEST_FOR_A_LINE = 5
_FEWEST_FOR_CHANGES = 8


@dataclass(frozen=True, slots=True)
class Forecast:
    """A rate foretold.

    Attributes:
        rate_rps: Requests per second at the quantile asked for; never below 0.
        middle_rps: Requests per second in the middle.
        horizon_s: For how far ahead.
        method: The method that told it, which may be a simpler one than was asked for.
        reason: Why it is a simpler one; empty where it is not.
        season: Parameters of the season, where one told it.
    """

    rate_rps: float
    middle_rps: float
    horizon_s: float
    method: ForecastMethod
    reason: str = ""
    season: SeasonFit | None = None


def forecast(
    history: LoadHistory,
    horizon_s: float,
    settings: ForecastSettings,
    season: SeasonFit | None = None,
) -> Forecast | None:
    """Return the rate `horizon_s` after the last sample; None where nothing was ever measured.

    Too short a history makes a simpler method tell it: a season needs two of them, a line five
    samples.

    Args:
        history: What was measured.
        horizon_s: For how far ahead.
        settings: The method.
        season: Parameters of its season to use again; None to find them.

    Raises:
        StokerError: The extra `kube`, which brings statsmodels, is not installed.
    """
    last = history.last
    if last is None:
        return None
    samples = [each for each in history.samples if last.at - each.at <= settings.history_s]
    recent = LoadHistory(tuple(samples))
    reason = ""
    if settings.method is ForecastMethod.HOLT_WINTERS:
        told = foretell_season(history, horizon_s, settings, season, _library())
        if isinstance(told, SeasonForecast):
            rates = told.rate_rps, told.middle_rps
            return Forecast(*rates, horizon_s, settings.method, season=told.fit)
        reason = told
    if settings.method is not ForecastMethod.LAST:
        if len(samples) >= _FEWEST_FOR_A_LINE:
            line = _line(recent, horizon_s, settings.quantile)
            return Forecast(*line, horizon_s, ForecastMethod.LINEAR, reason)
        reason = f"{len(samples)} samples; a line needs {_FEWEST_FOR_A_LINE}"
    rate = last.arrival_rate_rps
    grown = max(0.0, rate + _change(recent, horizon_s, settings.quantile))
    return Forecast(max(grown, 0.0), rate, horizon_s, ForecastMethod.LAST, reason)


def _line(history: LoadHistory, horizon_s: float, quantile: float) -> tuple[float, float]:
    """Return quantile and middle of the prediction of a straight line (Student's t)."""
    import numpy as np

    sm = _library()
    from scipy import stats

    last = history.samples[-1].at
    times = np.array([each.at - last for each in history.samples])
    rates = np.array([each.arrival_rate_rps for each in history.samples])
    if np.ptp(rates) == 0:
        return float(rates[-1]), float(rates[-1])
    scale = max(float(-times[0]), 1.0)  # keeps the columns of one size
    fitted = sm.OLS(rates, np.column_stack([np.ones_like(times), times / scale])).fit()
    point = fitted.get_prediction(np.array([[1.0, horizon_s / scale]]))
    middle = float(point.predicted_mean[0])
    deviation = float(point.se_obs[0])
    upper = middle + deviation * float(stats.t.ppf(quantile, fitted.df_resid))
    return max(0.0, upper), max(0.0, middle)


def _change(history: LoadHistory, horizon_s: float, quantile: float) -> float:
    """Return the quantile of how much the rate changed over the horizon, as it was seen to.

    With few samples, of how much it changed from one to the next.
    """
    samples = history.samples
    changes: list[float] = []
    for index, before in enumerate(samples):
        after = next((each for each in samples[index:] if each.at >= before.at + horizon_s), None)
        if after is None:
            break
        changes.append(after.arrival_rate_rps - before.arrival_rate_rps)
    if len(changes) < _FEWEST_FOR_CHANGES:
        rates = [each.arrival_rate_rps for each in samples]
        changes = [after - before for before, after in itertools.pairwise(rates)]
    if len(changes) < _FEWEST_FOR_CHANGES:
        return 0.0
    return max(0.0, _quantile(changes, quantile)) if quantile > 0.5 else 0.0


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _library() -> Any:
    try:
        import statsmodels.api
    except ImportError as error:
        raise StokerError(
            "forecasts with a trend or a season need the extra `kube`: pip install 'stoker[kube]'"
        ) from error
    return statsmodels.api
