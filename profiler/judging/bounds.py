"""The least time that an iteration can take on a card, whatever engine drives it."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import AcceleratorSpec, Precision

_NARROWEST = Precision.INT4
_FORMATS = {item.value: item for item in Precision}


@dataclass(frozen=True, slots=True)
class Roofline:
    """A model on cards at their peaks: every byte is read once, every operation done at full rate.

    Attributes:
        model: The model.
        card: The card.
        cards: Cards that share the work.
        weights: Format of the weights; None where it is not told, which counts as the released
            one.
        narrow: Whether the KV cache and the arithmetic may be of 8 bits.
    """

    model: ModelArchitecture
    card: AcceleratorSpec
    cards: int
    weights: Precision | None = None
    narrow: bool = False

    def decode_ms(self, batch: float, context_tokens: float) -> float:
        """Return the least time of an iteration that decodes."""
        context = max(1, round(context_tokens))
        kv = Precision.FP8 if self.narrow else Precision.BF16
        weights = self.model.decode_weight_bytes(max(1, round(batch)), self.weights)
        read = weights + batch * self.model.kv_bytes(context, kv)
        return max(self._reading_ms(read), self._computing_ms(batch * self._flops(context)))

    def prefill_ms(self, tokens: float) -> float:
        """Return the least time of an iteration that computes one prompt."""
        count = max(1, round(tokens))
        return self._computing_ms(self.model.prefill_flops(count))

    def _flops(self, context: int) -> float:
        return self.model.decode_flops(context)

    def _reading_ms(self, read_bytes: float) -> float:
        return read_bytes / (self.cards * self.card.memory_bandwidth_gb_per_s * 1e6)

    def _computing_ms(self, flops: float) -> float:
        rates = self.card.dense_tflops
        wide = [rates[item] for item in (Precision.BF16, Precision.FP16) if item in rates]
        known = (list(rates.values()) if self.narrow else wide) or list(rates.values())
        return flops / (self.cards * max(known) * 1e9) if known else 0.0


def precision_named(name: str) -> Precision | None:
    """Return the format of weights that a name means; None for one that is not known."""
    return _FORMATS.get(name.casefold())


def loosest(model: ModelArchitecture, card: AcceleratorSpec, cards: int) -> Roofline:
    """Return a bound that no format breaks: weights of 4 bits, cache and arithmetic of 8."""
    return Roofline(model, card, cards, _NARROWEST, narrow=True)
