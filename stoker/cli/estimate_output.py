"""An estimate as tables, as a JSON document, and its profile as YAML."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from stoker.cli.figures import UNKNOWN, duration_ms, small_share
from stoker.domain.curve import IterationTable
from stoker.domain.fleet import Fleet
from stoker.domain.profile import EstimateKind, ModelProfile, TokenWorkParameters

if TYPE_CHECKING:
    from queueing.roofline import Deployment, Estimate


_WIDTH = 72  # titles and captions are wider than some of the tables


def profile_entry(profile: ModelProfile) -> dict[str, object]:
    """Return a profile as an entry of `profiles` in Stoker's fleet format."""
    from data.stoker_writing import entry_of_fleet

    fleet = Fleet("USD", (), (), (profile,), (), ())
    entries = entry_of_fleet(fleet)["profiles"]
    assert isinstance(entries, list)
    entry: dict[str, object] = entries[0]
    return entry


def profile_text(profile: ModelProfile) -> str:
    """Return the section `profiles` with one profile, to paste into a fleet document."""
    from data.yaml_writer import to_yaml

    return to_yaml({"profiles": [profile_entry(profile)]})


def estimate_document(answer: Estimate) -> dict[str, object]:
    """Return an estimate as a JSON document; what is unknown is null."""
    deployment, room = answer.deployment, answer.room
    reduction = answer.reduction
    return {
        "kind": EstimateKind.ESTIMATED.value,
        "model": deployment.model.name,
        "accelerator": deployment.accelerator.name,
        "tensor_parallel": deployment.tensor_parallel,
        "weights_dtype": deployment.dense_precision.value,
        "expert_weights_dtype": (
            None if deployment.model.experts is None else deployment.expert_precision.value
        ),
        "kv_dtype": deployment.kv_precision.value,
        "fits": answer.profile is not None,
        "smallest_tensor_parallel": answer.smallest_tensor_parallel,
        "memory": asdict(room),
        "largest_batch": answer.largest_batch,
        "lone_ttft_ms": answer.lone_ttft_ms,
        "decode": [asdict(point) for point in answer.decode],
        "prefill": [asdict(point) for point in answer.prefill],
        "profile": None if answer.profile is None else profile_entry(answer.profile),
        "profile_deviation": (
            None
            if reduction is None
            else {"median": reduction.median_deviation, "largest": reduction.largest_deviation}
        ),
    }


def estimate_tables(answer: Estimate) -> list[Table]:
    """Return the tables of an estimate: memory, then decode, prefill and profile if it fits."""
    tables = [_memory(answer)]
    if answer.profile is not None:
        tables += [_decode(answer), _prefill(answer), _profile(answer)]
    return tables


def _formats(deployment: Deployment) -> str:
    text = f"weights {deployment.dense_precision.value}"
    if deployment.model.experts is not None:
        text += f", experts {deployment.expert_precision.value}"
    return f"{text}, KV {deployment.kv_precision.value}"


def _memory(answer: Estimate) -> Table:
    deployment, room = answer.deployment, answer.room
    table = _table(
        f"Estimate, not measured: {deployment.model.name} on {deployment.tensor_parallel} × "
        f"{deployment.accelerator.name} ({_formats(deployment)})"
    )
    table.add_column("Memory", overflow="fold")
    table.add_column("", justify="right")
    fewest = answer.smallest_tensor_parallel
    table.add_row("Weights per card", f"{room.weights_gb_per_card:,.1f} GB")
    table.add_row("Memory of the engine per card", f"{room.engine_gb_per_card:,.1f} GB")
    table.add_row("KV per token and card", f"{room.kv_bytes_per_token_card / 1e3:,.1f} kB")
    table.add_row("KV tokens that fit", f"{room.kv_tokens:,}")
    table.add_row("Requests that fit at once", f"{answer.largest_batch:,}")
    table.add_row("Fewest cards that hold it", UNKNOWN if fewest is None else str(fewest))
    return table


def _decode(answer: Estimate) -> Table:
    contexts = sorted({point.context_tokens for point in answer.decode})
    middle = contexts[len(contexts) // 2]
    table = _table("Decode iteration, ms")
    table.add_column("Batch", justify="right")
    for context in contexts:
        table.add_column(f"Context\n{context:,}", justify="right")
    table.add_column("Output\ntokens/s", justify="right")
    table.add_column("Bound by")
    for batch in sorted({point.batch for point in answer.decode}):
        row = {p.context_tokens: p for p in answer.decode if p.batch == batch}
        table.add_row(
            str(batch),
            *(duration_ms(row[context].time_ms) for context in contexts),
            f"{row[middle].output_tokens_per_s:,.0f}",
            row[middle].bound.value,
        )
    table.caption = f"output tokens and bound at a context of {middle:,} tokens"
    return table


def _prefill(answer: Estimate) -> Table:
    table = _table("Prefill iteration")
    for header in ("Prompt\ntokens", "Time\nms", "Input\ntokens/s"):
        table.add_column(header, justify="right")
    table.add_column("Bound by")
    for point in answer.prefill:
        table.add_row(
            f"{point.tokens:,}",
            duration_ms(point.time_ms),
            f"{point.input_tokens_per_s:,.0f}",
            point.bound.value,
        )
    table.caption = f"TTFT of a request that is alone: {duration_ms(answer.lone_ttft_ms)} ms"
    return table


def _profile(answer: Estimate) -> Table:
    assert answer.profile is not None
    assert answer.reduction is not None
    table = _table("Profile to plan with (--format yaml)")
    form, rows = _form(answer.reduction.parameters)
    table.add_column(form, overflow="fold")
    table.add_column("", justify="right")
    for row in rows:
        table.add_row(*row)
    table.add_row("Batch limit", str(answer.profile.max_batch))
    deviation = answer.reduction
    table.caption = (
        f"off the estimate by {small_share(deviation.median_deviation)} at the median, "
        f"{small_share(deviation.largest_deviation)} at most"
    )
    return table


def _form(parameters: TokenWorkParameters | IterationTable) -> tuple[str, list[tuple[str, str]]]:
    """Return the name of a form of profiles, and what of it a table shows."""
    if isinstance(parameters, IterationTable):
        return "curve", [
            ("Knots of decode, batch × context", _size(parameters.batches, parameters.contexts)),
            (
                "Knots of prefill, tokens × KV read",
                _size(parameters.prefill_tokens, parameters.prefill_contexts),
            ),
            ("Shared by decode and prefill, ms", f"{parameters.shared_ms:.4g}"),
        ]
    return "token-work", [
        ("alpha, ms per iteration", f"{parameters.alpha_ms:.4g}"),
        ("beta, ms per token computed", f"{parameters.beta_ms:.4g}"),
        ("gamma, ms per KV token read", f"{parameters.gamma_ms:.4g}"),
    ]


def _size(rows: tuple[float, ...], columns: tuple[float, ...]) -> str:
    return f"{len(rows)} × {len(columns)}"


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        min_width=_WIDTH,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
