"""What engines reach of a card's peaks, and what they pay beside: named constants with sources.

All are from public benchmarks of single parts (a copy, a matrix product, an all-reduce, a model of
1B parameters). None is fitted to serving measurements, against which the tests judge the result.
"""

from __future__ import annotations

from typing import Final

BANDWIDTH_SHARE: Final = 0.85
"""Share of peak memory bandwidth at which kernels stream weights, KV and activations.

Midway between a STREAM triad on an H100, 3.09 of 3.35 TB/s (0.92; H100 logs of public kernel
benchmarks, 2026), and a fused forward pass that leaves no gap between kernels, 0.78 (Spector et
al., Look Ma, No Bubbles, Stanford Hazy Research, 2025).
"""

MATMUL_SHARE_16_BIT: Final = 0.75
"""Share of the peak dense rate in large matrix products of 16-bit numbers.

Best shapes reach 0.80 on an H100, 0.86 on an A100, 0.78 on a B200 (Bekman, Machine Learning
Engineering, table of maximum achievable matmul FLOPS, 2024-2026); SimuMax takes 0.75 for shapes
as models have them (accelerator file a100_bf16, 2025).
"""

MATMUL_SHARE_8_BIT: Final = 0.70
"""The same for 8-bit numbers and fewer: the best shape on an H200 reaches 0.73 (Bekman, 2026)."""

PREFILL_ATTENTION_SHARE: Final = 0.5
"""Share of the 16-bit peak in the attention of prompts.

FlashAttention-2 reaches 0.35 of an H100, FlashAttention-3 up to 0.75 with long sequences (Shah et
al., FlashAttention-3, 2024); causal prompts of some thousand tokens lie between.
"""

KERNEL_GAP_US: Final = 2.0
"""Time between two kernels in which nothing is read or computed.

An H100 takes 2.1 µs from launch to launch, 1.3 µs inside a CUDA graph, and each kernel then has
to fill and drain its pipeline (Spector et al., 2025).
"""

KERNELS_PER_LAYER: Final = 10
"""Kernels of a dense layer.

Norm, query-key-value product, rotation, cache write, attention, its combination over splits,
output product, norm, first MLP product with activation, second MLP product.
"""

KERNELS_PER_EXPERT_LAYER: Final = 7
"""Kernels that an expert layer has beside: router, top-k, sort, two more products, gather, sum."""

KERNELS_PER_QUANTIZED_LAYER: Final = 4
"""Kernels that quantize the inputs of a layer's products where these run on 8 bits or fewer."""

EAGER_LAUNCH_US: Final = 5.0
"""Host time to launch a kernel outside a CUDA graph, as prompts are computed.

4 to 6 µs through driver and runtime (launch measurements of the pegainfer project, 2025).
"""

ENGINE_ITERATION_MS: Final = 0.7
"""Scheduling, input preparation and sampling of an iteration that the card waits for.

Llama-3.2-1B on an H100 at batch 1 (Spector et al., 2025): 0.95 ms when fused, 1.5 times that in
SGLang, 2.5 times in vLLM. Less weights at `BANDWIDTH_SHARE` and kernel gaps, 0.2 and 1.2 ms are
left; this is their mean.
"""

ENGINE_SEQUENCE_MS: Final = 0.01
"""What each sequence of the batch adds to that.

A gap of 5 to 6 ms between decodes of 256 sequences is 0.02 ms each, nearly nothing once scheduling
overlaps (vLLM issue 10634, 2024); half of it here.
"""

EAGER_KERNEL_US: Final = 26.0
"""Host time to reach the next kernel in engines that replay no CUDA graphs at all.

A decode of Llama-3.1-8B on an H100 takes 8.4 ms in eager PyTorch, 5.1 ms as a graph (Spheron,
2026): 8.4 ms over 32 layers of `KERNELS_PER_LAYER`.
"""

EAGER_ITERATION_MS: Final = 9.0
"""The engine's part of an iteration in those engines: 5 to 13 ms (vLLM issue 6854, 2024)."""

FIRST_TOKEN_MS: Final = 15.0
"""Request handling before the first token: HTTP, tokenizer, hand-over between processes.

vLLM serves Llama-3.2-1B with 500-token prompts at a median TTFT of 21.0 ms under light load (vLLM
pull request 17866, 2025), where the prefill itself takes 4 to 6.
"""

DIRECT_ALL_REDUCE_US: Final = 6.0
DIRECT_ALL_REDUCE_PER_CARD_US: Final = 0.3
"""Latency of an all-reduce in which cards read each other's memory, and what each card adds.

Mean of vLLM's and SGLang's kernels on H100s, 4 to 32 KiB: 6.4, 6.7 and 8.7 µs on 2, 4 and 8 cards
(SGLang pull request 2904, 2025).
"""

DIRECT_ALL_REDUCE_SHARE: Final = 0.15
"""Share of the link's one-way bandwidth that such a kernel reaches: 1 MiB in 20 to 34 µs (ibid.)"""

RING_ALL_REDUCE_US: Final = 22.0
RING_ALL_REDUCE_SHARE: Final = 0.72
"""Latency and share of the link's one-way bandwidth of the collective library.

NCCL on 8 H100s: 19 to 25 µs up to 512 KiB, then 8 MiB more in 45 µs (ByteDance Triton-distributed
issue 57, 2025). Engines take the faster way for each size, and so does the estimate.
"""

PCIE_ALL_REDUCE_US: Final = 45.0
"""Latency of either way over PCIe: 45 to 57 µs for 8 KiB on 8 A800s (vLLM issue 50576, 2026)."""

ENGINE_MEMORY_SHARE: Final = 0.9
"""Share of a card's memory that an engine takes: vLLM's default `gpu_memory_utilization`.

Memory is counted as printed, in 10⁹ bytes; cards have up to 7% more, which covers activations.
"""

DEFAULT_MAX_SEQUENCES: Final = 256
"""Sequences that an engine serves at once unless told otherwise: vLLM's `max_num_seqs`."""

DEFAULT_TOKEN_BUDGET: Final = 8192
"""Tokens computed in one iteration: vLLM's `max_num_batched_tokens` for serving on large cards."""
