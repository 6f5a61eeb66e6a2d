"""What the loop remembers of the load of a server, and on which grid of time it reads it."""

from __future__ import annotations

import bisect
import itertools
import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LoadSample:
    """The load of a server as it was measured once.

    Attributes:
        at: When, in seconds since the epoch.
        arrival_rate_rps: Requests offered per second.
        input_tokens: Mean input tokens; None where there were no requests to tell.
        output_tokens: Mean output tokens; None where there were no requests to tell.
    """

    at: float
    arrival_rate_rps: float
    input_tokens: float | None = None
    output_tokens: float | None = None


@dataclass(frozen=True, slots=True)
class LoadHistory:
    """Samples in the order of time, the oldest first.

    Attributes:
        samples: The samples.
        quiet_since: Since when no request has been known to be offered without a gap; None for
            unknown. After a restart the samples tell it, so that it is not written down.
    """

    samples: tuple[LoadSample, ...] = ()
    quiet_since: float | None = field(default=None, compare=False)

    def with_sample(
        self,
        sample: LoadSample,
        keep_s: float,
        whole_s: float = math.inf,
        step_s: float = 0.0,
        longest_gap_s: float = math.inf,
    ) -> LoadHistory:
        """Return the history with one more sample, and without those older than `keep_s`.

        A sample that is not newer than the last one is left out: clocks that go back must not
        change the past.

        Args:
            sample: The sample.
            keep_s: Age from which samples are left out.
            whole_s: Age from which one sample a step is enough: what is long ago tells of seasons
                alone, and a day of cycles is thousands of samples.
            step_s: Length of such a step.
            longest_gap_s: Time between two samples over which the load counts as known.
        """
        if self.samples and sample.at <= self.samples[-1].at:
            return self
        times = [each.at for each in self.samples]
        first = bisect.bisect_left(times, sample.at - keep_s)
        whole = bisect.bisect_left(times, sample.at - whole_s)
        old = _thinned(self.samples[first:whole], step_s)
        return LoadHistory(
            (*old, *self.samples[max(first, whole) :], sample),
            self._quiet_since(sample, longest_gap_s),
        )

    def _quiet_since(self, sample: LoadSample, longest_gap_s: float) -> float:
        """Return since when no request was offered, with one more sample."""
        last = self.last
        if sample.arrival_rate_rps > 0 or last is None or sample.at - last.at > longest_gap_s:
            return sample.at
        if self.quiet_since is not None:
            return self.quiet_since
        # Of what is long ago some samples are left out, and so it counts as a gap.
        since = last
        for before in reversed(self.samples):
            if since.arrival_rate_rps > 0 or since.at - before.at > longest_gap_s:
                break
            since = before
        return since.at

    @property
    def last(self) -> LoadSample | None:
        """The newest sample; None where there is none."""
        return self.samples[-1] if self.samples else None

    def last_tokens(self) -> tuple[float, float] | None:
        """Return mean input and output tokens as last told; None where they never were."""
        for sample in reversed(self.samples):
            if sample.input_tokens is not None and sample.output_tokens is not None:
                return sample.input_tokens, sample.output_tokens
        return None

    def idle_since(self) -> float | None:
        """Return since when no request has been known to be offered; None where that is unknown.

        Time in which nobody knew is no idleness: it begins anew after each gap.
        """
        return self.quiet_since

    def largest_rate(self, at: float, seconds: float) -> float:
        """Return the largest rate of so many seconds of known load; 0 where none was known.

        What a gap hides of them is made up for by the time before it.
        """
        since = at - seconds
        split = bisect.bisect_left([each.at for each in self.samples], since)
        before, found = self.samples[:split], list(self.samples[split:])
        hidden_s = (found[0].at if found else at) - since
        if before:
            found += [each for each in before if before[-1].at - each.at < hidden_s]
        return max((each.arrival_rate_rps for each in found), default=0.0)

    def grid(self, step_s: float) -> list[float]:
        """Return the rates at equal steps up to the last sample, read between samples linearly.

        Models of seasons need equal steps; cycles come late now and then.
        """
        if not self.samples:
            return []
        times = [each.at for each in self.samples]
        rates = [each.arrival_rate_rps for each in self.samples]
        count = int((times[-1] - times[0]) / step_s) + 1
        found = []
        for index in range(count):
            at = times[-1] - (count - 1 - index) * step_s
            right = bisect.bisect_left(times, at)
            if right == 0:
                found.append(rates[0])
                continue
            left = right - 1
            share = (at - times[left]) / (times[right] - times[left])
            found.append(rates[left] + share * (rates[right] - rates[left]))
        return found


def _thinned(samples: tuple[LoadSample, ...], step_s: float) -> tuple[LoadSample, ...]:
    """Return samples that are at least a step apart, the oldest of each step."""
    if all(after.at - before.at >= step_s for before, after in itertools.pairwise(samples[-3:])):
        return samples  # those before were thinned when they came of age
    kept: list[LoadSample] = []
    for sample in samples:
        if not kept or sample.at - kept[-1].at >= step_s:
            kept.append(sample)
    return tuple(kept)
