"""Schema of profile documents: types, bounds and what each key means."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.json_schema import GenerateJsonSchema

from data.curve_fields import CurveFields
from data.fields import Amount, Count, Name, PositiveCount, StrictModel
from data.measurements.rows import RowEntry
from data.model_fields import Allowed
from data.stoker_schema import ProfileEntry

DOCUMENT_VERSION = 1
DOCUMENT_KIND = "profiles"

_Finite = Annotated[float, Field(ge=-1e12, le=1e12)]
_Interval = Annotated[list[_Finite], Field(min_length=2, max_length=2)]
_Bands = list[list[_Interval]]
_ServiceModel = Literal["linear", "token-work", "overlap", "curve"]


class IntervalsEntry(StrictModel):
    """95% intervals of the times in a table, in the shape of its grids."""

    decode_ms: _Bands = Field(description="Of each decode time its low and high end, in ms.")
    prefill_ms: _Bands = Field(description="Of each prefill time its low and high end, in ms.")


class FitEntry(StrictModel):
    """A service-time model fitted to measurements, or why it could not be."""

    model: _ServiceModel = Field(description="The service-time model.")
    profile: Count | None = Field(
        None, description="Index in `profiles` of the one with these parameters."
    )
    parameters: dict[Name, _Finite] = Field({}, description="Values, in the units of the names.")
    confidence: dict[Name, _Interval] = Field({}, description="95% intervals by parameter.")
    condition_number: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="Of the scaled problem; the larger, the less the points tell parameters apart.",
    )
    points: Count = Field(0, description="Measurements that took part.")
    errors: dict[Name, Amount] = Field(
        {},
        description="Mean of |predicted - measured| / measured, by figure: `ttft`, `itl` of rows, "
        "`prefill`, `decode`, `mixed` of timed iterations.",
    )
    left_out_errors: dict[Name, Amount] = Field(
        {}, description="The same, of measurements left out of the fits that predicted them."
    )
    deployment: dict[Name, str | int] = Field(
        {}, description="What was measured: model, gpu, n_gpus, precision, engine."
    )
    table: CurveFields | None = Field(None, description="Times of a `curve`.")
    intervals: IntervalsEntry | None = Field(None, description="Confidence of the table.")
    refusal: str = Field("", description="Why there is no fit.")
    untold: list[Name] = Field([], description="Parameters that the measurements do not tell.")
    measure: list[str] = Field([], description="What to measure to tell them.")


class TimedModelEntry(StrictModel):
    """The model whose iterations were timed, and how it ran."""

    name: Name = Field(description="Name of the architecture.")
    layers: PositiveCount = Field(description="Layers of the whole model.")
    layers_timed: Annotated[list[PositiveCount], Field(min_length=1)] = Field(
        description="Numbers of layers that were built and timed; the whole is scaled up from "
        "several of them."
    )
    precision: Name = Field(description="Type of activations and KV cache.")
    weight_precision: Name = Field(description="Type of the weights.")
    attention: Name = Field(description="Kernel path of attention.")
    cache: Name = Field(description="Layout of the KV cache: `contiguous` or `paged`.")
    execution: Name = Field(description="`eager`, `compile` or `cuda-graph`.")
    tensor_parallel: PositiveCount = Field(1, description="Devices that share each layer.")


class TimedDeviceEntry(StrictModel):
    """The device that timed it."""

    name: Name = Field(description="Name that its driver tells.")
    accelerator: str = Field("", description="Name in the catalogue; empty for none of them.")
    count: PositiveCount = Field(1, description="Devices used.")
    memory_bytes: Annotated[int, Field(ge=0)] | None = Field(None, description="Memory of each.")
    driver: str = Field("", description="Version of the driver.")
    runtime: str = Field("", description="Versions of what computed (torch, CUDA, Python).")
    idle_power_w: Amount | None = Field(None, description="Power before the run, in watts.")


class LargestBatchEntry(StrictModel):
    """The largest decode batch that ran at a context."""

    context_tokens: Count = Field(description="Context of each sequence.")
    batch: Count = Field(description="Sequences.")


class TimedMemoryEntry(StrictModel):
    """What the model takes of the memory of one device."""

    weight_bytes: Annotated[int, Field(ge=0)] = Field(description="Weights.")
    kv_bytes_per_token: Annotated[int, Field(ge=0)] = Field(
        description="KV cache for a token of context."
    )
    largest_batches: list[LargestBatchEntry] = Field([], description="Largest batch by context.")


class MeasuredOnEntry(StrictModel):
    """Where, when and with what iterations were timed."""

    model: TimedModelEntry = Field(description="What was timed.")
    device: TimedDeviceEntry = Field(description="On what.")
    memory: TimedMemoryEntry = Field(description="What it takes.")
    code: str = Field(description="Hash of the code that measured.")
    started_at: str = Field(description="When it began: ISO 8601, UTC.")
    seed: int = Field(description="Seed of the order of cases and of the weights.")


class TimingEntry(StrictModel):
    """One case and what came of it."""

    prefill_tokens: Count = Field(0, description="Prompt tokens that the iteration computes.")
    prefix_tokens: Count = Field(0, description="Tokens of that prompt in the KV cache already.")
    decode_batch: Count = Field(0, description="Sequences that decode a token each.")
    context_tokens: Count = Field(0, description="Tokens of each of them in the KV cache.")
    status: Literal["ok", "out-of-memory", "failed"] = Field(description="How it ended.")
    median_ms: Amount | None = Field(None, description="Median without outliers, in ms.")
    spread_ms: Amount | None = Field(None, description="Interquartile range without outliers.")
    samples_ms: list[Amount] = Field([], description="Every time after warm-up, in order.")
    outliers: list[Count] = Field([], description="Positions in `samples_ms` that stand apart.")
    reason: str = Field("", description="Why it did not end well.")
    clock_mhz: Amount | None = Field(None, description="Clock while it ran.")
    temperature_c: _Finite | None = Field(None, description="Temperature while it ran.")
    power_w: Amount | None = Field(None, description="Power while it ran, in watts.")
    memory_bytes: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Most memory in use."
    )


class TimedCurveEntry(StrictModel):
    """Times along one axis, with all else the same."""

    kind: Literal["decode", "prefill"] = Field(description="What the iterations compute.")
    over: Literal["decode_batch", "prefill_tokens"] = Field(description="What varies.")
    context_tokens: Count | None = Field(None, description="Context of decoding sequences.")
    prefix_tokens: Count | None = Field(None, description="Prompt tokens in the cache already.")
    at: list[Count] = Field(description="Places on the axis.")
    median_ms: list[Amount] = Field(description="Median time of an iteration at each, in ms.")
    spread_ms: list[Amount | None] = Field(description="Interquartile range at each, in ms.")
    tokens_per_s: list[Amount] = Field(description="Tokens per second at each.")


class ProfileDocumentEntry(StrictModel):
    """Profiles of models on accelerators, with what they rest on."""

    version: Annotated[int, Field(ge=DOCUMENT_VERSION, le=DOCUMENT_VERSION), Allowed("1")] = Field(
        description="Version of this format."
    )
    document: Literal["profiles"] = Field(description="What tells it from a fleet: `profiles`.")
    name: str = Field("", description="Name of the document.")
    notes: list[str] = Field([], description="What a reader should know.")
    profiles: list[ProfileEntry] = Field(description="Profiles, as in a fleet.")
    fits: list[FitEntry] = Field([], description="The fits behind them.")
    measured_on: MeasuredOnEntry | None = Field(None, description="What timed iterations.")
    timings: list[TimingEntry] = Field([], description="Every case timed, failed ones included.")
    curves: list[TimedCurveEntry] = Field([], description="The timings as lines to draw.")
    rows: list[RowEntry] = Field([], description="Measured operating points behind the fits.")


def profile_schema() -> dict[str, object]:
    """Return the JSON Schema of a profile document (draft 2020-12)."""
    schema = ProfileDocumentEntry.model_json_schema(schema_generator=GenerateJsonSchema)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "Stoker profiles"}
