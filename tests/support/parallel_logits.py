"""Two processes that share a small model, to compare with one that has it all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from profiler.harness.parallel import Group
from tests.support.harness_models import (
    CPU,
    SMALL,
    WITH_EXPERTS,
    cache_of,
    decode_of,
    prompt_of,
    random_tokens,
    small_model,
)

SHAPES = {"dense": SMALL, "experts": WITH_EXPERTS}


def logits_of(name: str, group: Group | None) -> torch.Tensor:
    """Return logits of a prompt and of a decode behind it."""
    shape = SHAPES[name]
    model = small_model(shape, communicator=group)
    devices = 1 if group is None else group.size
    window = cache_of(shape, "contiguous", torch.float32, devices=devices).window(0, 1, 20)
    text = random_tokens(20)
    prompt = model(prompt_of(window, 0, text[:19]), every_token=True)
    decode = model(decode_of(window, text[19:], 19))
    return torch.cat([prompt, decode])


def main() -> None:
    """Be one of the processes: RANK SIZE ADDRESS FOLDER."""
    rank, size, address, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    torch.set_num_threads(1)
    group = Group(rank, size, address, CPU)
    for name in SHAPES:
        torch.save(logits_of(name, group), Path(folder) / f"{name}-{rank}.pt")
    group.leave()
    os._exit(0)


if __name__ == "__main__":
    main()
