"""Whose turn it is: what engine priorities make of the waits of classes.

Of those in line the one of the smallest number is admitted first, and of those alike the one that
came first; who is in service stays there. With σ_k the load of the classes up to k, and ρ that of
all, the mean wait of class k is that of first come, first served times

    (1 - ρ) / ((1 - σ_{k-1}) (1 - σ_k))

(Cobham, Priority assignment in waiting line problems, 1954): exact for M/G/1, and for M/M/c with
one law of service, where it keeps the work in line: the waits weighted by load add up to ρ times
that of first come, first served (Kleinrock 1965). Who waits does so for the work found in the
classes up to k, extended by what comes ahead of it meanwhile: a delay busy period, whose squared
coefficient of variation is 1 + 2 σ_{k-1} (1 - σ_k) / (1 - σ_{k-1}) times that of first come, first
served (Kella and Yechiali, Waiting times in the non-preemptive priority M/M/c queue, 1985).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray

LARGEST_LOAD = 0.999
"""Load from which on waits are those of that load: at 1 the last class waits forever."""


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """What priorities make of waits; arrays (classes, cases).

    Attributes:
        mean: what the mean wait of first come, first served is multiplied by.
        spread: what its squared coefficient of variation is multiplied by.
    """

    mean: FloatArray
    spread: FloatArray


def turns(load: FloatArray, work: FloatArray, priority: FloatArray) -> Turns:
    """Return what priorities make of the waits for a station.

    Args:
        load: of all classes together, array (cases,).
        work: that each class brings in a time, in any unit, (classes, cases).
        priority: smaller numbers go first, (classes, cases).
    """
    busy = np.clip(load, 0.0, LARGEST_LOAD)
    part = busy * work / np.maximum(work.sum(axis=0), 1e-300)
    # before[k] is the load of those ahead of class k, upto[k] with those of its own number.
    ahead = priority[None, :, :] < priority[:, None, :]
    beside = priority[None, :, :] <= priority[:, None, :]
    before = (ahead * part[None, :, :]).sum(axis=1)
    upto = (beside * part[None, :, :]).sum(axis=1)
    mean = (1.0 - busy) / ((1.0 - before) * (1.0 - upto))
    spread = 1.0 + 2.0 * before * (1.0 - upto) / (1.0 - before)
    return Turns(mean, spread)
