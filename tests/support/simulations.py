"""Random small scenarios for the simulator, of all its features.

All times are multiples of 1/1024 ms and small, so that sums are exact in either simulator and
coincidences (an arrival at the end of an iteration, two replicas at once) are real ones.
"""

from __future__ import annotations

from hypothesis import strategies as st

from simulator import (
    Arrivals,
    ClosedLoop,
    Disaggregated,
    Engine,
    IterationModel,
    IterationTable,
    JointLengths,
    Pool,
    Router,
    Scenario,
    TraceArrivals,
)
from stoker.domain.profile import LinearParameters, OverlapParameters, TokenWorkParameters


def exact(largest: int) -> st.SearchStrategy[float]:
    """Numbers that are exact in binary, coarse or fine."""
    return st.one_of(
        st.integers(0, largest).map(float), st.integers(0, largest * 1024).map(lambda n: n / 1024)
    )


@st.composite
def tables(draw: st.DrawFn) -> IterationTable:
    def knots(step: int) -> tuple[float, ...]:
        start = draw(st.integers(0, 2))
        return tuple(float(start + step * k) for k in range(draw(st.integers(1, 3))))

    def grid(rows: tuple[float, ...], columns: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(draw(exact(20)) + 1 for _ in columns) for _ in rows)

    batches, contexts, tokens, reads = knots(2), knots(8), knots(16), knots(32)
    return IterationTable(
        batches,
        contexts,
        grid(batches, contexts),
        tokens,
        reads,
        grid(tokens, reads),
        draw(st.sampled_from([0.0, 0.5, 1.0])),
        *draw(st.sampled_from([(0.0, 0.0, 0.0), (8.0, 0.5, 0.25)])),
    )


@st.composite
def overlaps(draw: st.DrawFn) -> OverlapParameters:
    """Either weights or tokens alone, and no pairs of tokens: roots and thirds are not exact."""
    weights, token = draw(st.sampled_from([(1.0, 0.0), (0.0, 1.0)]))
    return OverlapParameters(
        draw(exact(10)) + 1 / 1024,
        weights * draw(exact(10)),
        token * draw(exact(2)),
        draw(exact(2)),
        draw(exact(1)),
        0.0,
        draw(exact(5)),
        *draw(st.sampled_from([(0.0, 0.0, 0.0), (2.0, 0.5, 0.25), (0.0, 0.0, 1.0)])),
    )


def models() -> st.SearchStrategy[IterationModel]:
    # Every iteration takes time: what happens first of several things at once is not defined.
    some = exact(10).map(lambda time: time + 1 / 1024)
    return st.one_of(
        st.builds(TokenWorkParameters, some, exact(2), exact(1)),
        st.builds(LinearParameters, some, exact(2), some, exact(1)),
        tables(),
        overlaps(),
    )


@st.composite
def engines(draw: st.DrawFn, longest: int) -> Engine:
    block = draw(st.sampled_from([1, 2, 3, 4, 16]))
    # Mostly so little memory that it runs out, sometimes too little for single requests.
    kv = draw(st.one_of(st.none(), st.integers(max(block, longest // 2), 3 * longest + block)))
    model = draw(models())
    # A third of a prompt is not exact in binary: the longer runs chunk prompts of such engines.
    whole = isinstance(model, LinearParameters | OverlapParameters)
    budgets = st.just(8192) if whole else st.one_of(st.integers(1, 12), st.just(8192))
    return Engine(
        model,
        max_batch=draw(st.integers(1, 6)),
        max_queue=draw(st.one_of(st.none(), st.integers(0, 5))),
        token_budget=draw(budgets),
        kv_tokens=kv,
        block_tokens=block,
    )


@st.composite
def arrivals(draw: st.DrawFn, count: int) -> Arrivals:
    if draw(st.booleans()):
        return ClosedLoop(
            draw(st.integers(1, 8)),
            think_ms=draw(st.sampled_from([0.0, 0.0, 2.0, 17.5])),
            ramp_ms=draw(st.sampled_from([0.0, 8.0])),
        )
    gaps = draw(
        st.lists(exact(draw(st.sampled_from([1, 20, 200]))), min_size=count, max_size=count)
    )
    times, now = [], 0.0
    for gap in gaps:
        now += gap
        times.append(now)
    return TraceArrivals(tuple(times))


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    count = draw(st.integers(1, 25))
    tokens = st.lists(st.integers(1, 24), min_size=count, max_size=count)
    prompts, outputs = draw(tokens), draw(tokens)
    longest = max(a + b for a, b in zip(prompts, outputs, strict=True))

    def pool() -> Pool:
        return Pool(draw(engines(longest)), draw(st.integers(1, 3)), draw(st.sampled_from(Router)))

    system = (
        Disaggregated(pool(), pool(), draw(exact(30)), draw(exact(1)))
        if draw(st.booleans())
        else pool()
    )
    return Scenario(
        draw(arrivals(count)),
        JointLengths(tuple(prompts), tuple(outputs), in_order=True),
        system,
        count,
        seed=draw(st.integers(0, 5)),
        prefix_hit_rate=draw(st.sampled_from([0.0, 0.0, 0.5, 0.9, 1.0])),
    )
