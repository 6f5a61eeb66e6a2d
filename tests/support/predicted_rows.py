"""Operating points that a model predicts, with noise: what a fit of that model must find again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from profiler.fit import predict
from stoker.domain.curve import IterationTable
from stoker.domain.measurement import Arrival, LatencyFigures, LoadKind, Measurement

OVERLAP = {
    "base_ms": 2.5,
    "weights_ms": 4.5,
    "token_ms": 0.022,
    "sequence_ms": 0.02,
    "kv_token_ms": 4e-5,
    "attention_ms": 8e-7,
    "prompts_ms": 1.0,
    "first_token_ms": 8.0,
    "first_token_sequence_ms": 0.04,
    "first_token_output_ms": 5e-5,
}


def point(
    load: float, in_tokens: float, out_tokens: float, *, clients: bool = False
) -> Measurement:
    """Return an operating point without any measured figure."""
    return Measurement(
        model="made",
        gpu="up",
        n_gpus=1,
        load_kind=LoadKind.CONCURRENCY if clients else LoadKind.RATE,
        load=load,
        in_tokens=in_tokens,
        out_tokens=out_tokens,
        arrival=Arrival.CLOSED if clients else Arrival.POISSON,
        max_batch=256,
        name=f"{load:g} of {in_tokens:g}/{out_tokens:g}",
    )


def grid() -> list[Measurement]:
    """Return points over shapes and loads, open and closed."""
    shapes = ((128, 128, 30.0), (1024, 128, 12.0), (128, 1024, 5.0), (4096, 512, 2.0))
    points = [
        point(share * top, inputs, outputs)
        for inputs, outputs, top in shapes
        for share in (0.05, 0.2, 0.4, 0.6, 0.8)
    ]
    loops = [point(clients, 512, 256, clients=True) for clients in (1, 4, 16, 64)]
    return [*points, *loops]


def measured(
    model: str,
    parameters: Mapping[str, float],
    points: Sequence[Measurement],
    noise: float = 0.0,
    seed: int = 0,
    table: IterationTable | None = None,
) -> list[Measurement]:
    """Return the points with predicted figures, each off by a random relative error."""
    predicted = predict(model, parameters, points, table)
    random = np.random.default_rng(seed)
    factor = np.exp(noise * random.standard_normal((2, len(points))))
    return [
        replace(
            row,
            ttft=LatencyFigures(mean_ms=float(predicted.ttft_ms[index] * factor[0, index])),
            itl=LatencyFigures(mean_ms=float(predicted.itl_ms[index] * factor[1, index])),
            throughput_rps=float(predicted.throughput_rps[index]),
        )
        for index, row in enumerate(points)
    ]
