"""Make the profiles that come with Stoker.

Usage, from the root of the checkout, with files of measured rows::

    PYTHONPATH=. python tools/ship_profiles.py estimated
    PYTHONPATH=. python tools/ship_profiles.py fitted FILE...

Both write into ``data/profiles``. Measured profiles are made by ``stoker profile run`` on the
accelerator that they name.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from itertools import accumulate
from pathlib import Path

from data.catalogue import Catalogue, load_catalogue
from data.measurements import read_measurements
from data.profile_document import (
    ProfileDocument,
    ProfileFit,
    document_text,
    profile_document,
)
from profiler.fit import CrossValidation, FitResult, fit
from profiler.judging import check_document
from profiler.judging.bounds import precision_named
from queueing.roofline import Deployment, estimate, kv_room, smallest_tensor_parallel
from stoker.cli.fitted_profiles import fit_record, fitted_profile
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import AcceleratorSpec
from stoker.domain.curve import IterationTable
from stoker.domain.measurement import Measurement
from stoker.domain.profile import (
    EstimateKind,
    ModelProfile,
    Provenance,
    ServiceParameters,
    TokenWorkParameters,
)
from stoker.domain.serving import Parallelism

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ROOT / "data" / "profiles"

MODELS = (
    "Llama-3.2-3B",
    "Llama-3.1-8B",
    "Llama-3.1-70B",
    "Llama-3.1-405B",
    "Mistral-7B",
    "Mistral-Small-24B",
    "Mixtral-8x7B",
    "Qwen2.5-7B",
    "Qwen2.5-14B",
    "Qwen2.5-32B",
    "Qwen2.5-72B",
    "Qwen3-8B",
    "Qwen3-32B",
    "Qwen3-30B-A3B",
    "Qwen3-235B-A22B",
    "gpt-oss-20b",
    "gpt-oss-120b",
    "DeepSeek-V3",
    "Gemma-3-27B",
    "Phi-4",
)
CARDS = ("L4", "A10G", "L40S", "A100-SXM-80GB", "H100-SXM-80GB", "H200-SXM-141GB", "B200", "MI300X")
INPUT_TOKENS, OUTPUT_TOKENS = 1024, 256
ROOM_TOKENS = 16 * (INPUT_TOKENS + OUTPUT_TOKENS)
"""KV memory that a replica has at least: with less, no batch forms."""

MOST_CARDS = 8
"""Cards of one machine; a replica of more is not estimated."""

LARGEST_TTFT_ERROR, LARGEST_ITL_ERROR = 0.30, 0.15
"""Errors up to which a fit is shipped: of TTFT on the rows fitted, of ITL on rows left out."""

LEAST_ROWS = 10


def estimated(catalogue: Catalogue) -> list[ModelProfile]:
    """Return roofline estimates of the usual models on the usual cards, as few as hold them."""
    found = []
    for model_name in MODELS:
        model = catalogue.model(model_name)
        for card_name in CARDS:
            card = catalogue.accelerator(card_name)
            cards = smallest_tensor_parallel(model, card, ROOM_TOKENS)
            if cards is None or cards > MOST_CARDS:
                continue
            deployment = Deployment(model, card, cards)
            profile = _estimate(deployment, as_curve=False)
            if profile is not None and _beats_the_card(profile, model, card):
                # Three parameters do not bend as times of experts do: the table does.
                profile = _estimate(deployment, as_curve=True)
            if profile is not None:
                found.append(profile)
    return found


def _estimate(deployment: Deployment, *, as_curve: bool) -> ModelProfile | None:
    answer = estimate(deployment, INPUT_TOKENS, OUTPUT_TOKENS, as_curve=as_curve)
    if answer.profile is None:
        return None
    cards = deployment.tensor_parallel
    return replace(
        answer.profile,
        parameters=_short(answer.profile.parameters),
        required_memory_gb=round(answer.profile.required_memory_gb or 0.0, 2) or None,
        parallel=Parallelism(tensor=cards) if cards > 1 else None,
        kv_tokens=int(answer.room.kv_tokens),
    )


def _beats_the_card(profile: ModelProfile, model: ModelArchitecture, card: AcceleratorSpec) -> bool:
    findings = check_document(ProfileDocument((profile,)), lambda _: model, lambda _: card)
    return any(item.rule == "physical" for item in findings)


def _short(parameters: ServiceParameters) -> ServiceParameters:
    """Return parameters to four digits: an estimate has no more."""
    if isinstance(parameters, IterationTable):
        prefill_ms = _rising(parameters.prefill_ms)
        return replace(
            parameters,
            decode_ms=_rising(parameters.decode_ms),
            prefill_ms=prefill_ms,
            shared_ms=min(_digits(parameters.shared_ms), prefill_ms[0][0]),
        )
    assert isinstance(parameters, TokenWorkParameters)
    values = asdict(parameters)
    return TokenWorkParameters(**{name: _digits(value) for name, value in values.items()})


def _rising(grid: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """Return a grid to four digits that never falls: kernels for larger work serve smaller, too."""
    rows = [list(accumulate(map(_digits, row), max)) for row in grid]
    columns = [list(accumulate(column, max)) for column in zip(*rows, strict=True)]
    return tuple(zip(*columns, strict=True))


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


def fitted(
    files: Sequence[Path], catalogue: Catalogue, made_on: date
) -> tuple[list[ModelProfile], list[ProfileFit]]:
    """Return the fits of all deployments in files that are worth shipping, with their profiles."""
    profiles: list[ModelProfile] = []
    fits: list[ProfileFit] = []
    for file in files:
        for rows in _deployments(read_measurements(file.read_text("utf-8"), file.name).rows):
            result = fit(
                rows, "overlap", group=rows[0].group(), cross_validation=CrossValidation.SHAPE
            )
            if not _good(result, rows):
                continue
            profile = fitted_profile(result, rows, [_source(rows[0])], made_on)
            profiles.append(_named(profile, rows[0], catalogue))
            fits.append(fit_record(result, len(profiles) - 1))
            print(f"{profiles[-1].model} {profiles[-1].accelerator} {profiles[-1].configuration}")
    return profiles, fits


def _deployments(rows: Iterable[Measurement]) -> list[list[Measurement]]:
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for row in rows:
        groups.setdefault(tuple(row.group().values()), []).append(row)
    return [group for group in groups.values() if len(group) >= LEAST_ROWS]


def _good(result: FitResult, rows: Sequence[Measurement]) -> bool:
    left_out = result.cross_validated
    if result.refusal is not None or left_out is None:
        print(f"left out: {rows[0].model} on {rows[0].n_gpus} × {rows[0].gpu}: not fitted")
        return False
    ttft, itl = result.error.ttft or 0.0, left_out.itl or 0.0
    good = ttft <= LARGEST_TTFT_ERROR and itl <= LARGEST_ITL_ERROR
    if not good:
        print(
            f"left out: {rows[0].model} on {rows[0].n_gpus} × {rows[0].gpu}: {ttft:.0%}, {itl:.0%}"
        )
    return good


_PUBLISHED = {
    "inferno-model-trainer-exp1": "llm-inferno/model-trainer on GitHub, experiment 1",
    "control-loop run16": "llm-inferno/control-loop on GitHub, run 16",
    "AIConfigurator silicon_sample.csv": "ai-dynamo/aiconfigurator on GitHub, silicon_sample.csv",
}
"""Where measurements were published, by how rows tell it."""


def _source(row: Measurement) -> str:
    told = row.source or "published measurements"
    for start, published in _PUBLISHED.items():
        if told.startswith(start):
            return published + told.removeprefix(start)
    return told


def _named(profile: ModelProfile, row: Measurement, catalogue: Catalogue) -> ModelProfile:
    """Return a profile under the catalogue's names, its configuration named by engine and cards."""
    engine = (row.engine or "engine").split()[0].casefold()
    parts = [engine, row.precision or "", f"tp{row.n_gpus}" if row.n_gpus > 1 else ""]
    model, card = catalogue.model(profile.model), catalogue.accelerator(profile.accelerator)
    source = profile.provenance.source
    kv_tokens = profile.kv_tokens
    if kv_tokens is None:
        weights = precision_named(row.precision or "")
        kv_tokens = int(kv_room(Deployment(model, card, row.n_gpus, weights)).kv_tokens)
        source += "; KV memory from specifications"
    return replace(
        profile,
        model=model.name,
        accelerator=card.name,
        configuration="-".join(part for part in parts if part),
        parallel=Parallelism(tensor=row.n_gpus) if row.n_gpus > 1 else None,
        provenance=Provenance(EstimateKind.FITTED, source),
        kv_tokens=kv_tokens,
    )


def main(arguments: Sequence[str]) -> int:
    """Write the document of one kind."""
    catalogue = load_catalogue()
    if arguments[:1] == ["estimated"]:
        profiles = estimated(catalogue)
        note = (
            f"Roofline estimates for requests of {INPUT_TOKENS} input and {OUTPUT_TOKENS} output "
            "tokens, nothing measured; docs/estimates.md tells how far off such estimates are."
        )
        document = profile_document(profiles, name="estimated", notes=[note])
    elif arguments[:1] == ["fitted"] and len(arguments) > 1:
        today = datetime.now(UTC).date()
        profiles, fits = fitted([Path(file) for file in arguments[1:]], catalogue, today)
        note = (
            "Fitted to published measurements of real accelerators, which each source names; batch "
            "limits are the largest that were recorded or seen."
        )
        document = profile_document(profiles, fits=fits, name="fitted", notes=[note])
    else:
        print(__doc__)
        return 2
    path = PROFILES / f"{arguments[0]}.yaml"
    path.write_text(document_text(document), encoding="utf-8")
    print(f"{len(profiles)} profiles in {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
