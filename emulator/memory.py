"""The KV memory of one replica, counted in blocks of tokens."""

from __future__ import annotations

_UNLIMITED = 1 << 60


class KvMemory:
    """Blocks of KV memory, taken and given back by requests.

    Attributes:
        block_tokens: Tokens of a block.
        blocks: Blocks in all; more than anybody can take where there is no limit.
        free: Blocks that nobody holds.
        limited: Whether there is a limit.
    """

    __slots__ = ("block_tokens", "blocks", "free", "limited")

    def __init__(self, tokens: int | None, block_tokens: int) -> None:
        """Begin with all of it free.

        Args:
            tokens: Tokens that it holds; None for no limit.
            block_tokens: Tokens of a block.
        """
        self.block_tokens = block_tokens
        self.limited = tokens is not None
        self.blocks = _UNLIMITED if tokens is None else tokens // block_tokens
        self.free = self.blocks

    @property
    def used(self) -> int:
        """Blocks that somebody holds."""
        return self.blocks - self.free

    @property
    def use(self) -> float:
        """Share of the blocks that somebody holds; 0 where there is no limit."""
        return self.used / self.blocks if self.limited else 0.0

    def blocks_of(self, tokens: int) -> int:
        """Return the blocks that so many tokens of a request take."""
        return -(-tokens // self.block_tokens)

    def ever_holds(self, tokens: int) -> bool:
        """Return whether so many tokens of a request fit where it holds nothing else."""
        return self.blocks_of(tokens) <= self.blocks

    def take(self, tokens: int) -> bool:
        """Take the blocks of so many tokens of a request; return whether there were enough."""
        blocks = self.blocks_of(tokens)
        if blocks > self.free:
            return False
        self.free -= blocks
        return True

    def give_back(self, tokens: int) -> None:
        """Free the blocks of so many tokens of a request."""
        self.free += self.blocks_of(tokens)

    def clear(self) -> None:
        """Free all of it."""
        self.free = self.blocks
