"""Throughput grids of AIBrix and Mélange, and model data of Inferno, in both directions."""

import copy
import json

import pytest

from data.inferno.profiles import models_from_profiles, profiles_from_models
from data.measurements.grids import (
    aibrix_document,
    melange_document,
    read_aibrix,
    read_melange,
)
from profiler.grids import GridTargets, fit_grid, throughput_grid
from stoker.domain.errors import InvalidInputError
from stoker.domain.profile import (
    EstimateKind,
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    Provenance,
    TokenWorkParameters,
)

INPUTS, OUTPUTS = (128, 512, 2048), (4, 32, 256)
PARAMETERS = TokenWorkParameters(6.0, 0.03, 5e-5)
PROFILE = ModelProfile("m", "H100", 1, 128, 256, PARAMETERS)

AIBRIX = {
    "gpu": "a100",
    "cost": 3.5,
    "tputs": [[20.5, 11.25, 5.0], [8.0, 6.0, 3.5], [0.9, 0.8, 0.0]],
    "indexes": [[16, 64, 512], [128, 256, 512]],
    "created": 1748888478.25,
    "e2e": [[0.3, 0.4, 0.6], [1.0, 1.1, 1.4], [4.9, 5.0, 6.5]],
    "slos": {"percentile": 99, "e2e": 5.0},
}
"""As AIBrix's gen_profile writes it, with numbers of our own."""

MELANGE = {
    "gpu_info": {
        "A10G": {"cost": 1.01, "tputs": [[9.0, 2.0], [4.0, 1.5], [1.0, 0.5]]},
        "A100-80GB": {"cost": 3.67, "tputs": [[30.0, 8.0], [20.0, 6.0], [6.0, 2.0]]},
    },
    "workload_distribution": [[0.3, 0.2], [0.2, 0.1], [0.1, 0.1]],
    "total_request_rate": 12.0,
    "slice_factor": 4,
}
"""As the input of Mélange's solver, with numbers of our own."""


def test_an_aibrix_grid_reads_and_writes_exactly() -> None:
    (grid,) = read_aibrix(AIBRIX).grids
    assert (grid.gpu, grid.cost_per_hour) == ("a100", 3.5)
    assert (grid.output_tokens, grid.input_tokens) == ((16, 64, 512), (128, 256, 512))
    assert grid.rates_rps[0][1] == 11.25  # 16 out, 256 in
    assert grid.e2e_s is not None
    assert grid.e2e_s[2] == (4.9, 5.0, 6.5)
    assert aibrix_document(grid) == AIBRIX


def test_a_melange_grid_reads_and_writes_exactly() -> None:
    grids = read_melange(MELANGE, (25, 100, 250), (25, 100)).grids
    assert [grid.gpu for grid in grids] == ["A10G", "A100-80GB"]
    assert grids[0].rates_rps == ((9.0, 4.0, 1.0), (2.0, 1.5, 0.5))
    written = melange_document(grids, rate_rps=12.0, slice_factor=4)
    assert written["gpu_info"] == MELANGE["gpu_info"]
    assert read_melange(written, (25, 100, 250), (25, 100)).grids == grids
    shares = written["workload_distribution"]
    assert isinstance(shares, list)
    assert sum(map(sum, shares)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"indexes": [[16]]}, "indexes: is no pair of lists"),
        ({"indexes": [[16, 8, 512], [128, 256, 512]]}, "indexes[0][1]: 8 follows 16"),
        ({"indexes": [[16, "x", 512], [128, 256, 512]]}, 'indexes[0][1]: "x" is no length'),
        ({"tputs": [[1.0] * 3] * 2}, "tputs: holds 2 rows (allowed: 3 rows, one a length)"),
        ({"tputs": [[1.0] * 3, [1.0], [1.0] * 3]}, "tputs[1]: holds 1 values"),
        ({"gpu": ""}, "gpu: is missing"),
    ],
)
def test_grids_of_another_shape_are_refused(change: dict[str, object], told: str) -> None:
    for skip in (False, True):
        with pytest.raises(InvalidInputError) as caught:
            read_aibrix({**AIBRIX, **change}, "g.json", skip_bad_cells=skip)
        assert str(caught.value.problems[0]).startswith(f"g.json: {told}")


def test_bad_cells_are_told_by_row_and_column_and_the_others_usable() -> None:
    document = copy.deepcopy(AIBRIX)
    rows = document["tputs"]
    assert isinstance(rows, list)
    rows[1][2], rows[0][0] = None, -3
    with pytest.raises(InvalidInputError) as caught:
        read_aibrix(document, "g.json")
    assert [str(problem) for problem in caught.value.problems] == [
        "g.json: tputs[0][0]: -3 is out of bounds (allowed: 0 or more)",
        "g.json: tputs[1][2]: null is out of bounds (allowed: 0 or more)",
    ]
    reading = read_aibrix(document, "g.json", skip_bad_cells=True)
    assert len(reading.left_out) == 2
    assert reading.grids[0].rates_rps[1] == (8.0, 6.0, 0.0)
    fitted = fit_grid(reading.grids[0], 256)
    assert fitted is not None
    assert fitted.cells == 6


def test_a_profile_comes_back_from_its_grid() -> None:
    grid = throughput_grid(PROFILE, INPUTS, (4, 32, 128, 512), cost_per_hour=2.5)
    (read,) = read_aibrix(json.loads(json.dumps(aibrix_document(grid)))).grids
    assert read == grid
    fitted = fit_grid(read, 128)
    assert fitted is not None
    assert fitted.parameters.alpha_ms == pytest.approx(6.0, rel=0.02)
    assert fitted.parameters.beta_ms == pytest.approx(0.03, rel=0.02)
    assert fitted.parameters.gamma_ms == pytest.approx(5e-5, rel=0.05)
    assert fitted.error < 0.01


def test_targets_bound_what_a_grid_says() -> None:
    free = throughput_grid(PROFILE, INPUTS, OUTPUTS)
    bound = throughput_grid(PROFILE, INPUTS, OUTPUTS, GridTargets(e2e_s=2.0, tpot_s=0.015))
    assert bound.slos == {"percentile": 0.0, "e2e": 2.0, "tpot": 0.015}
    pairs = [
        (low, high)
        for one, other in zip(bound.rates_rps, free.rates_rps, strict=True)
        for low, high in zip(one, other, strict=True)
    ]
    assert all(low <= high for low, high in pairs)
    assert any(low < high for low, high in pairs)
    none = throughput_grid(PROFILE, (2048,), (256,), GridTargets(e2e_s=0.1))
    assert none.rates_rps == ((0.0,),)


def test_a_grid_with_too_few_cells_tells_nothing() -> None:
    grid = throughput_grid(PROFILE, (128,), (32, 64, 128))
    assert fit_grid(grid, 128) is None


MODELS = {
    "models": [
        {
            "name": "granite",
            "acc": "A100",
            "accCount": 2,
            "maxBatchSize": 64,
            "atTokens": 512,
            "perfParms": {"alpha": 20.58, "beta": 0.041, "gamma": 0.00128},
        },
        {
            "name": "granite",
            "acc": "G2",
            "accCount": 1,
            "maxBatchSize": 38,
            "atTokens": 512,
            "decodeParms": {"alpha": 17.15, "beta": 0.34},
            "prefillParms": {"gamma": 5.0, "delta": 0.01},
        },
    ]
}


def test_model_data_of_inferno_read_and_write_exactly() -> None:
    one, two = profiles_from_models(MODELS, "model-data.json")
    assert one.parameters == TokenWorkParameters(20.58, 0.041, 0.00128)
    assert two.parameters == LinearParameters(17.15, 0.34, 5.0, 0.01)
    assert one.accelerators_per_replica == 2
    assert one.provenance == Provenance(EstimateKind.DECLARED, "Inferno model data model-data.json")
    assert models_from_profiles([one, two]) == MODELS


def test_model_data_that_lack_a_batch_limit_are_refused() -> None:
    short = copy.deepcopy(MODELS)
    del short["models"][1]["maxBatchSize"]
    with pytest.raises(InvalidInputError) as caught:
        profiles_from_models(short, "f.json")
    assert [str(item) for item in caught.value.problems] == [
        "f.json: models[1].maxBatchSize: is missing (allowed: a whole number, at least 1)"
    ]
    overlap = OverlapParameters(2.5, 4.0, 0.02, 0.02, 4e-5, 1e-6, 1.0)
    with pytest.raises(InvalidInputError, match="cannot hold"):
        models_from_profiles([ModelProfile("m", "a", 1, 1, 1, overlap)])
