"""What the options of `stoker horizon` say of reserved and spot cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.horizon import CardTerms, HorizonTerms, ReservedTerms, SpotTerms

_Terms = TypeVar("_Terms")

INTERRUPTIONS_PER_HOUR = 0.05
"""Interruptions of a spot replica an hour, where nothing is told."""

MOST_SPOT_SHARE = 0.5
"""Share of a server's replicas that may be spot, where nothing is told."""


@dataclass(frozen=True, slots=True)
class Offered:
    """What the command line offers of cards.

    Attributes:
        reserved: Factors of committed cards, `TYPE=FACTOR` or for all types.
        spot: The same of spot cards.
        reserved_term_hours: Hours that commitments are paid in multiples of; None for the horizon.
        spot_interruptions: Interruptions of a spot replica an hour; None where not told.
        spot_share: Largest share of a server's replicas that may be spot; None where not told.
    """

    reserved: Sequence[str]
    spot: Sequence[str]
    reserved_term_hours: int | None
    spot_interruptions: float | None
    spot_share: float | None


def horizon_terms(offered: Offered, others: HorizonTerms) -> HorizonTerms:
    """Return the terms of a horizon, what is offered of cards among the others.

    Raises:
        InvalidInputError: A factor is no number, a type has two, or an option says nothing without
            another one.
    """
    _check_companions(offered)
    by_type = _offers(offered)
    return replace(
        others,
        default=by_type[""],
        by_type={name: told for name, told in by_type.items() if name},
    )


def _check_companions(offered: Offered) -> None:
    """Refuse options that say nothing without another one.

    Raises:
        InvalidInputError: Naming each.
    """
    problems = [
        Problem(option, f"{value:g}, without {needed}", allowed)
        for option, value, needed, given, allowed in (
            (
                "--reserved-term-hours",
                offered.reserved_term_hours,
                "--reserved",
                offered.reserved,
                "beside --reserved; the cards of reserved pools are paid for the horizon's hours",
            ),
            (
                "--spot-interruptions",
                offered.spot_interruptions,
                "--spot",
                offered.spot,
                "beside --spot; spot pools tell interruptions_per_hour themselves",
            ),
            (
                "--spot-share",
                offered.spot_share,
                "--spot",
                offered.spot,
                "beside --spot; for spot pools limits.max_server_spot_share says it",
            ),
        )
        if value is not None and not given
    ]
    if problems:
        raise InvalidInputError(problems)


def _offers(offered: Offered) -> dict[str, CardTerms]:
    """Return what is offered by type of card; the empty name stands for all others."""
    rate, share = offered.spot_interruptions, offered.spot_share
    rate = INTERRUPTIONS_PER_HOUR if rate is None else rate
    share = MOST_SPOT_SHARE if share is None else share
    committed = _by_type(
        "--reserved",
        offered.reserved,
        lambda factor: ReservedTerms(factor, None, offered.reserved_term_hours),
    )
    spots = _by_type("--spot", offered.spot, lambda factor: SpotTerms(factor, rate, share))
    return {
        name: CardTerms(committed.get(name, committed.get("")), spots.get(name, spots.get("")))
        for name in {"", *committed, *spots}
    }


def _by_type(
    option: str, values: Sequence[str], make: Callable[[float], _Terms]
) -> Mapping[str, _Terms]:
    found: dict[str, _Terms] = {}
    for value in values:
        name, _, text = value.rpartition("=")
        if name in found:
            told = f"{name} has" if name else "all types have"
            problem = Problem(option, f"{told} a factor already: {value}", "each type once")
            raise InvalidInputError([problem])
        try:
            found[name] = make(float(text))
        except ValueError as error:
            problem = Problem(option, f'"{text}" is not a number', "FACTOR or TYPE=FACTOR")
            raise InvalidInputError([problem]) from error
    return found
