"""The KV cache: memory set aside once, and windows of it that hold the sequences of a case."""

from __future__ import annotations

from typing import Protocol

import torch

PAGE = 16
"""Tokens of a page of the paged layout, as engines have it."""


class Window(Protocol):
    """Room for equally many tokens of each of some sequences, in every layer."""

    def write(
        self, layer: int, first: int, start: int, keys: torch.Tensor, values: torch.Tensor
    ) -> None:
        """Store the tokens from `start` on of the sequences from `first` on.

        Args:
            layer: The layer.
            first: First of the sequences.
            start: Position of the first token.
            keys: Keys, (sequences, tokens, KV heads, head size).
            values: Values, likewise.
        """
        ...

    def read(
        self, layer: int, first: int, count: int, length: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values of the first tokens of some sequences.

        Args:
            layer: The layer.
            first: First of the sequences.
            count: How many sequences.
            length: How many tokens of each.

        Returns:
            Keys and values, each (sequences, KV heads, tokens, head size).
        """
        ...


class Cache(Protocol):
    """KV memory of a model."""

    @property
    def tokens(self) -> int:
        """How many tokens it holds, in every layer."""
        ...

    @property
    def stored_bytes(self) -> int:
        """Bytes that it takes."""
        ...

    def window(self, start: int, sequences: int, capacity: int) -> Window:
        """Return room for sequences of up to `capacity` tokens, `start` tokens into the memory.

        Raises:
            torch.OutOfMemoryError: There is not so much.
        """
        ...

    def room(self, sequences: int, capacity: int) -> int:
        """Return how many tokens of the memory such a window takes."""
        ...


class ContiguousCache:
    """Each sequence has its tokens in a row."""

    def __init__(
        self,
        layers: int,
        tokens: int,
        kv_heads: int,
        head_size: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """Set the memory aside and fill it with random values, as if it had been in use."""
        self.tokens = tokens
        self._heads, self._size = kv_heads, head_size
        self._keys, self._values = (
            [_filled((tokens * kv_heads * head_size,), dtype, device) for _ in range(layers)]
            for _ in range(2)
        )

    @property
    def stored_bytes(self) -> int:
        """Bytes that it takes."""
        return sum(tensor.nbytes for tensor in (*self._keys, *self._values))

    def room(self, sequences: int, capacity: int) -> int:
        """Return how many tokens of the memory such a window takes."""
        return sequences * capacity

    def window(self, start: int, sequences: int, capacity: int) -> Window:
        """Return room for sequences (see `Cache`)."""
        _check_room(self.tokens, start + self.room(sequences, capacity))
        width = self._heads * self._size
        inside = slice(start * width, (start + sequences * capacity) * width)
        shape = (sequences, self._heads, capacity, self._size)
        return _ContiguousWindow(
            [keys[inside].view(shape) for keys in self._keys],
            [values[inside].view(shape) for values in self._values],
        )


class _ContiguousWindow:
    def __init__(self, keys: list[torch.Tensor], values: list[torch.Tensor]) -> None:
        self._keys, self._values = keys, values

    def write(
        self, layer: int, first: int, start: int, keys: torch.Tensor, values: torch.Tensor
    ) -> None:
        count, tokens = keys.shape[:2]
        place = (slice(first, first + count), slice(None), slice(start, start + tokens))
        self._keys[layer][place] = keys.transpose(1, 2)
        self._values[layer][place] = values.transpose(1, 2)

    def read(
        self, layer: int, first: int, count: int, length: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        place = (slice(first, first + count), slice(None), slice(0, length))
        return self._keys[layer][place], self._values[layer][place]


class PagedCache:
    """Sequences have pages of `PAGE` tokens, anywhere in memory; a table says where."""

    def __init__(
        self,
        layers: int,
        tokens: int,
        kv_heads: int,
        head_size: int,
        dtype: torch.dtype,
        device: torch.device,
        seed: int = 0,
    ) -> None:
        """Set the memory aside, with its pages in random order."""
        self._pages = -(-tokens // PAGE)
        self.tokens = self._pages * PAGE
        shape = (self._pages, PAGE, kv_heads, head_size)
        self._keys, self._values = (
            [_filled(shape, dtype, device) for _ in range(layers)] for _ in range(2)
        )
        order = torch.randperm(self._pages, generator=torch.Generator().manual_seed(seed))
        self._order = order.to(device)

    @property
    def stored_bytes(self) -> int:
        """Bytes that it takes."""
        return sum(tensor.nbytes for tensor in (*self._keys, *self._values))

    def room(self, sequences: int, capacity: int) -> int:
        """Return how many tokens of the memory such a window takes: whole pages."""
        return sequences * -(-capacity // PAGE) * PAGE

    def window(self, start: int, sequences: int, capacity: int) -> Window:
        """Return room for sequences (see `Cache`); it begins at a whole page."""
        begin = -(-start // PAGE)
        pages = sequences * -(-capacity // PAGE)
        _check_room(self._pages, begin + pages)
        table = self._order[begin : begin + pages].view(sequences, -1)
        return _PagedWindow(self._keys, self._values, table)


class _PagedWindow:
    def __init__(
        self, keys: list[torch.Tensor], values: list[torch.Tensor], table: torch.Tensor
    ) -> None:
        self._keys, self._values, self._table = keys, values, table
        # The places of an iteration are the same in every layer.
        self._places: dict[tuple[int, int, int, int], torch.Tensor] = {}

    def write(
        self, layer: int, first: int, start: int, keys: torch.Tensor, values: torch.Tensor
    ) -> None:
        count, tokens = keys.shape[:2]
        places = self._places_of(first, count, start, tokens)
        for pool, new in ((self._keys[layer], keys), (self._values[layer], values)):
            pool.view(-1, *pool.shape[2:]).index_copy_(0, places, new.flatten(0, 1))

    def _places_of(self, first: int, count: int, start: int, tokens: int) -> torch.Tensor:
        key = (first, count, start, tokens)
        if key not in self._places:
            positions = torch.arange(start, start + tokens, device=self._table.device)
            pages = self._table[first : first + count][:, positions // PAGE]
            self._places[key] = (pages * PAGE + positions % PAGE).flatten()
        return self._places[key]

    def read(
        self, layer: int, first: int, count: int, length: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        pages = self._table[first : first + count, : -(-length // PAGE)]
        keys, values = (
            pool[pages].flatten(1, 2)[:, :length].transpose(1, 2)
            for pool in (self._keys[layer], self._values[layer])
        )
        return keys, values


def _filled(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device=device).normal_()


def _check_room(there: int, wanted: int) -> None:
    if wanted > there:
        raise torch.OutOfMemoryError(
            f"KV memory is full: {wanted} tokens or pages are asked for, {there} are there"
        )
