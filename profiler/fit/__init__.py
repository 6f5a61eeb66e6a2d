"""Parameters of service-time models, fitted to measured operating points.

`fit` takes rows of one deployment, `fit_groups` those of several, `predict` says what a run would
show. A prediction is a mean-field model of the engine: the decode batch that carries the offered
load, the prompts that share its iterations, the wait for the running one. It must never look at
the latency, throughput or concurrency of a row that it predicts.
"""

from profiler.fit.fitting import (
    BEST,
    MODELS,
    CrossValidation,
    fit,
    fit_groups,
    predict,
)
from profiler.fit.forecast import Forecast
from profiler.fit.observations import Excluded
from profiler.fit.result import CurveFit, FitError, FitResult, Refusal

__all__ = [
    "BEST",
    "MODELS",
    "CrossValidation",
    "CurveFit",
    "Excluded",
    "FitError",
    "FitResult",
    "Forecast",
    "Refusal",
    "fit",
    "fit_groups",
    "predict",
]
