"""The model that is timed is a right one: against itself, and against another implementation."""

import pytest
import torch
from torch.nn import ModuleList
from transformers import LlamaConfig, LlamaForCausalLM

from profiler.harness.attention import AttentionPath
from profiler.harness.kernels import pack
from profiler.harness.model import Decoder, Decoding, Iteration, Prompting
from profiler.harness.moe import Experts
from profiler.harness.precision import WeightFormat
from profiler.harness.projection import Projection
from profiler.harness.shape import Shape
from profiler.harness.source import RandomWeights
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

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.12, torch.float16: 0.02}
"""Largest difference of logits, which are about normal with variance 1, from rounding."""

PATHS = (AttentionPath.MATH, AttentionPath.FLASH, AttentionPath.REFERENCE)
PROMPT, SEQUENCES, STEPS = 21, 3, 4


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("layout", ["contiguous", "paged"])
@pytest.mark.parametrize("path", PATHS)
def test_decodes_from_the_cache_equal_the_whole_context(
    path: AttentionPath, layout: str, dtype: torch.dtype
) -> None:
    model = small_model(dtype=dtype, weights=WeightFormat.FP32, path=path)
    texts = [random_tokens(PROMPT + STEPS, seed) for seed in range(SEQUENCES)]
    window = cache_of(SMALL, layout, dtype).window(16, SEQUENCES, PROMPT + STEPS)
    apart = cache_of(SMALL, layout, dtype).window(0, SEQUENCES, PROMPT + STEPS)
    whole = [
        model(prompt_of(apart, number, text), every_token=True) for number, text in enumerate(texts)
    ]
    for number, text in enumerate(texts):
        # The prompt in three chunks, the later ones behind a prefix; one of them a single token.
        for start, end in ((0, 8), (8, 20), (20, PROMPT)):
            logits = model(prompt_of(window, number, text[start:end], start), every_token=True)
            torch.testing.assert_close(
                logits, whole[number][start:end], rtol=0.0, atol=TOLERANCE[dtype]
            )
    for step in range(STEPS):
        place = PROMPT + step
        logits = model(decode_of(window, torch.stack([text[place] for text in texts]), place))
        expected = torch.stack([each[place] for each in whole])
        torch.testing.assert_close(logits, expected, rtol=0.0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("layout", ["contiguous", "paged"])
@pytest.mark.parametrize("shape", [SMALL, WITH_EXPERTS], ids=["dense", "experts"])
def test_a_mixed_iteration_equals_its_parts(shape: Shape, layout: str) -> None:
    model = small_model(shape)
    cache = cache_of(shape, layout, torch.float32)
    window, other = cache.window(0, 2, 12), cache.window(64, 1, 24)
    texts = [random_tokens(10, seed) for seed in range(2)]
    prompt = random_tokens(17, 5)
    for number, text in enumerate(texts):
        model(prompt_of(window, number, text[:9]))
    model(prompt_of(other, 0, prompt[:5]))
    last = torch.stack([text[9] for text in texts])
    decoded = model(decode_of(window, last, 9))
    prefilled = model(prompt_of(other, 0, prompt[5:], 5))
    together = model(
        Iteration(
            torch.cat([last, prompt[5:]]),
            torch.cat([torch.full((2,), 9), torch.arange(5, 17)]),
            Decoding(window, 2, 9),
            Prompting(other, 0, 12, 5),
        )
    )
    torch.testing.assert_close(together, torch.cat([decoded, prefilled]), rtol=0.0, atol=1e-4)


class CopiedWeights:
    """Weights of a model of `transformers`, by the names of the harness."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self.state = model.state_dict()

    def matrix(self, name: str, rows: int, columns: int) -> torch.Tensor:
        matrix: torch.Tensor = self.state[f"{self.key(name)}.weight"]
        assert matrix.shape == (rows, columns)
        return matrix

    def scale(self, name: str, size: int) -> torch.Tensor:
        weights: torch.Tensor = self.state[f"{self.key(name)}.weight"]
        assert weights.shape == (size,)
        return weights

    def key(self, name: str) -> str:
        if name in ("embedding", "norm", "head"):
            return {"embedding": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}[
                name
            ]
        _, number, part = name.split(".", 2)
        parts = {
            "query": "self_attn.q_proj",
            "key": "self_attn.k_proj",
            "value": "self_attn.v_proj",
            "output": "self_attn.o_proj",
            "norm": "input_layernorm",
            "mlp_norm": "post_attention_layernorm",
            "mlp.gate": "mlp.gate_proj",
            "mlp.up": "mlp.up_proj",
            "mlp.down": "mlp.down_proj",
        }
        return f"model.layers.{number}.{parts[part]}"


@pytest.mark.parametrize("tied", [False, True])
def test_logits_are_those_of_another_implementation(tied: bool) -> None:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=128,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        tie_word_embeddings=tied,
        initializer_range=0.2,
    )
    other = LlamaForCausalLM(config)
    for name, parameter in other.named_parameters():
        if "norm" in name:  # they are all ones at first, which would hide a norm left out
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    model = small_model(
        Shape("copy", 3, 64, 4, 2, 16, 96, 128, 256, tied_embeddings=tied),
        source=CopiedWeights(other),
    )
    text = random_tokens(40, 3)
    with torch.no_grad():
        expected = other(text[None]).logits[0]
    window = cache_of(SMALL, "paged", torch.float32).window(0, 1, 48)
    logits = model(prompt_of(window, 0, text[:30]), every_token=True)
    torch.testing.assert_close(logits, expected[:30], rtol=1e-4, atol=1e-4)
    for place in range(30, 40):
        logits = model(decode_of(window, text[place : place + 1], place))
        torch.testing.assert_close(logits[0], expected[place], rtol=1e-4, atol=1e-4)


def experts_of(model: Decoder) -> Experts:
    experts = model.stack[1].mlp
    assert isinstance(experts, Experts)
    return experts


def projections(model: Decoder) -> list[Projection]:
    parts = [part for layer in model.stack for part in layer.modules()]
    return [part for part in parts if isinstance(part, Projection)]


def test_routed_experts_are_those_that_the_router_likes_best() -> None:
    model = small_model(WITH_EXPERTS)
    experts = experts_of(model)
    hidden = torch.randn(5, 64, generator=torch.Generator().manual_seed(2))
    scores = hidden @ experts.get_buffer("router").T
    assert experts.shared is not None
    expected = experts.shared(hidden)
    for row in range(5):
        best, chosen = scores[row].topk(2)
        for share, number in zip(best.softmax(0), chosen, strict=True):
            gate, up = (experts.get_buffer("all_gate_up")[number] @ hidden[row]).chunk(2)
            inner = torch.nn.functional.silu(gate) * up
            expected[row] += share * (experts.get_buffer("all_down")[number] @ inner)
    torch.testing.assert_close(experts(hidden), expected, rtol=1e-4, atol=1e-4)


def test_experts_in_one_kernel_compute_what_they_compute_one_by_one() -> None:
    grouped = small_model(WITH_EXPERTS, dtype=torch.bfloat16, weights=WeightFormat.BF16)
    experts = experts_of(grouped)
    assert experts.grouped
    hidden = torch.randn(9, 64, generator=torch.Generator().manual_seed(2)).to(torch.bfloat16)
    together = experts(hidden)
    experts.grouped = False
    for name in ("gate_up", "down"):
        each = experts.get_buffer(f"all_{name}")
        experts.add_module(name, ModuleList(Projection(one, WeightFormat.BF16) for one in each))
    torch.testing.assert_close(together, experts(hidden), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("weights", [WeightFormat.INT8, WeightFormat.INT4, WeightFormat.FP8])
def test_packed_weights_take_their_bits_and_compute_their_values(
    weights: WeightFormat, dtype: torch.dtype
) -> None:
    matrix = RandomWeights(3, CPU, dtype).matrix("a", 256, 512)
    packed = Projection(matrix, weights)
    values = {WeightFormat.INT8: 1.0, WeightFormat.FP8: 1.0, WeightFormat.INT4: 0.5}[weights]
    scales = {
        WeightFormat.INT8: 256 * dtype.itemsize,
        WeightFormat.FP8: 256 * 4,
        # A scale and a zero for each 128 inputs, where the kernel wants zeros.
        WeightFormat.INT4: 256 * 4 * 2 * dtype.itemsize,
    }[weights]
    assert values * matrix.numel() <= packed.stored_bytes <= values * matrix.numel() + scales
    inputs = torch.randn(7, 512, generator=torch.Generator().manual_seed(1)).to(dtype)
    exact = inputs.float() @ matrix.float().T
    coarse = {WeightFormat.INT8: 0.02, WeightFormat.FP8: 0.06, WeightFormat.INT4: 0.2}[weights]
    error = (packed(inputs).float() - exact).abs().mean() / exact.abs().mean()
    assert float(error) < coarse


@pytest.mark.parametrize("weights", [WeightFormat.INT8, WeightFormat.INT4, WeightFormat.FP8])
def test_every_kernel_that_works_here_multiplies_alike(weights: WeightFormat) -> None:
    from profiler.harness import kernels

    matrix = RandomWeights(3, CPU, torch.bfloat16).matrix("a", 256, 512)
    packed = pack(weights, matrix)
    inputs = torch.randn(16, 512, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    candidates, _, unpack = kernels._FORMATS[weights]
    expected = inputs.float() @ unpack(packed, torch.bfloat16).float().T
    working = [each for each in candidates if kernels._works(each, packed, inputs, expected)]
    assert candidates[-1] in working
    assert any(each.name.startswith("cpu-") for each in working) == (
        weights is not WeightFormat.FP8
    )


@pytest.mark.parametrize("weights", [WeightFormat.INT8, WeightFormat.INT4])
def test_a_model_of_packed_weights_is_smaller_and_decodes_right(weights: WeightFormat) -> None:
    dtype = torch.bfloat16
    plain = small_model(weights=WeightFormat.BF16, dtype=dtype)
    packed = small_model(weights=weights, dtype=dtype)

    def stored(model: Decoder) -> int:
        return sum(each.stored_bytes for each in projections(model))

    bits = {WeightFormat.INT8: 8, WeightFormat.INT4: 4}[weights]
    assert stored(packed) < stored(plain) * bits / 16 * 1.3
    text = random_tokens(12)
    window = cache_of(SMALL, "contiguous", dtype).window(0, 1, 12)
    whole = packed(prompt_of(window, 0, text), every_token=True)
    packed(prompt_of(window, 0, text[:11]))
    last = packed(decode_of(window, text[11:], 11))
    torch.testing.assert_close(last[0], whole[11], rtol=0.0, atol=TOLERANCE[dtype])


def test_fewer_layers_are_a_part_of_the_model() -> None:
    model = small_model()
    window = cache_of(SMALL, "contiguous", torch.float32).window(0, 1, 12)
    two = small_model(SMALL.with_layers(2))
    text = prompt_of(window, 0, random_tokens(12))
    torch.testing.assert_close(model(text, 2), two(text))
    assert not torch.allclose(model(text, 2), model(text))
