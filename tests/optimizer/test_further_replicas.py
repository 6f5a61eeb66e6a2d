"""Replicas added where the equal share misses a target, against counting them one at a time."""

import numpy as np

from benchmarks.fleets import scaled_large
from optimizer.candidates import every_candidate
from optimizer.counted import TARGET_TOLERANCE
from optimizer.fleet_arrays import fleet_arrays
from optimizer.predictions import Replicas
from optimizer.predictors import predictor_of
from stoker.domain.settings import Analysis


def test_the_fewest_further_replicas_that_keep_the_targets_are_added() -> None:
    fleet = scaled_large(100, 0)
    table = every_candidate(fleet, Analysis.FULL)
    assert table.profile is not None
    predictor = predictor_of(Analysis.FULL, fleet_arrays(fleet), fleet.rules)
    rate = table.total_rate_rps[table.server]
    with np.errstate(invalid="ignore", divide="ignore"):
        enough = np.maximum(np.ceil(rate / table.max_rate_rps), table.min_replicas)
    rows = np.flatnonzero(table.accepted & (rate > 0.0) & (table.replicas > enough))
    further = (table.replicas - enough)[rows].astype(int)
    assert further.min() == 1
    assert further.max() > 10
    for row, most in zip(rows, further, strict=True):
        count = enough[row] + np.arange(most + 1)
        for number in count:
            one = Replicas(
                server=table.server[[row]],
                profile=table.profile[[row]],
                max_batch=table.max_batch[[row]],
                max_queue=table.max_queue[[row]],
                count=np.array([number]),
            )
            figures = predictor.figures(one, rate[[row]] / number)
            kept = figures.target_use[0] <= 1.0 + TARGET_TOLERANCE
            assert kept == (number == count[-1])
