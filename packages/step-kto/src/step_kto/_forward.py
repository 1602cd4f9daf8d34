"""Log-probabilities of completion tokens without the logits of the prompt. Shapes: N tokens, D width, V vocabulary.

The language head is applied to the hidden states of completion tokens alone, a piece at a time, and the pieces' logits
are not kept: the backward pass computes them again. The idea is that of Liger-Kernel (arXiv 2410.10989) and of TRL's
fused head; the code is our own.
"""

# pyright: standard
# autograd functions and transformers' models are not strictly typed

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from step_kto._config import LogitsPath
from twllm_types import ConfigError

# Logits held at once; 2**24 of them are 64 MiB in float32. Up to this size they are also kept for the backward pass.
MAX_LOGITS = 1 << 24
# Settings by which models change logits behind the head, with the values that change nothing.
_LOGIT_SETTINGS = {
    "final_logit_softcapping": (None,),
    "logit_scale": (None, 1.0),
    "logits_scaling": (None, 1.0),
    "lm_head_multiplier": (None, 1.0),
    "output_multiplier": (None, 1.0),
}
# Settings of models with a state that runs on from row to row.
_RECURRENT_SETTINGS = ("mamba_d_conv", "ssm_cfg", "state_size", "linear_conv_kernel_dim")


class ChunkedTokenLogps(torch.autograd.Function):
    """log softmax(h W^T + b)[target] for each token, in float32 (float64 for float64), piece by piece."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, target_N: Tensor) -> Tensor:
        """Return (N,) log-probabilities, nats."""
        dtype = _compute_dtype(hidden_ND)
        exact = torch.float64 if dtype == torch.float64 else torch.float32
        weight, bias = weight_VD.to(dtype), None if bias_V is None else bias_V.to(dtype)
        logps_N = torch.empty(target_N.shape, dtype=exact, device=hidden_ND.device)
        log_probs_NV = None
        for start, end in _pieces(len(target_N), len(weight)):
            logits = nn.functional.linear(hidden_ND[start:end].to(dtype), weight, bias)
            log_probs_NV = logits.log_softmax(-1, dtype=exact)
            logps_N[start:end] = log_probs_NV.gather(-1, target_N[start:end, None]).squeeze(-1)
        whole = log_probs_NV is not None and len(log_probs_NV) == len(target_N)
        ctx.save_for_backward(hidden_ND, weight_VD, bias_V, target_N, log_probs_NV if whole else None)
        ctx.dtype, ctx.exact = dtype, exact
        return logps_N

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradient of a log-probability is onehot(target) - softmax(logits) at the logits."""
        (grad_N,) = grad_outputs
        hidden_ND, weight_VD, bias_V, target_N, kept_NV = ctx.saved_tensors
        needs_hidden, needs_weight, needs_bias, _ = ctx.needs_input_grad
        weight, bias = weight_VD.to(ctx.dtype), None if bias_V is None else bias_V.to(ctx.dtype)
        grad_hidden = torch.empty_like(hidden_ND) if needs_hidden else None
        grad_weight = torch.zeros_like(weight_VD, dtype=ctx.exact) if needs_weight else None
        grad_bias = torch.zeros_like(bias_V, dtype=ctx.exact) if needs_bias and bias_V is not None else None
        for start, end in _pieces(len(target_N), len(weight)):
            hidden = hidden_ND[start:end].to(ctx.dtype)
            if kept_NV is not None:
                grad = kept_NV.exp()
            else:
                grad = nn.functional.linear(hidden, weight, bias).softmax(-1, dtype=ctx.exact)
            grad_of_piece = grad_N[start:end, None].to(ctx.exact)
            grad = grad.mul_(-grad_of_piece).scatter_add_(-1, target_N[start:end, None], grad_of_piece).to(ctx.dtype)
            if grad_hidden is not None:
                grad_hidden[start:end] = grad @ weight
            if grad_weight is not None:
                _add_product(grad_weight, grad.T, hidden)
            if grad_bias is not None:
                grad_bias += grad.sum(0, dtype=ctx.exact)
        return (
            grad_hidden,
            None if grad_weight is None else grad_weight.to(weight_VD.dtype),
            None if grad_bias is None or bias_V is None else grad_bias.to(bias_V.dtype),
            None,
        )


def add_scoring(model: nn.Module, *, logits_path: LogitsPath) -> None:
    """Teach `model(..., score=batch)` to return {"logps_N": ...} for the completion tokens of a collated view.

    The forward itself is extended, so that wrappers (DDP, FSDP, DeepSpeed, PEFT) see an ordinary call. A call without
    `score` is the model's own.

    Args:
        model: a causal language model of transformers, not yet wrapped; extended in place, once.
        logits_path: see `StepKTOConfig`.

    Raises:
        ConfigError: "chunked" and the model's head is no plain linear layer, or its logits are changed behind it.
    """
    if getattr(model, "scores_completions", False):
        return
    if logits_path == "chunked":
        _check_head(model)
    # Not the bound method: a deep copy of the model would run the original through it. Hooks of a device map are kept.
    hooked, inherited = model.__dict__.get("forward"), type(model).forward

    def forward(self: Any, *args: Any, score: dict[str, Tensor] | None = None, **kwargs: Any) -> Any:
        own_forward = MethodType(inherited, self) if hooked is None else hooked
        if score is None:
            return own_forward(*args, **kwargs)
        given = {name: value for name, value in kwargs.items() if value is not None}
        given["use_cache"] = False
        if logits_path == "model":
            logits = own_forward(*args, **given).logits.flatten(0, 1)[score["source_N"]]
            exact = torch.float64 if logits.dtype == torch.float64 else torch.float32
            log_probs_NV = logits.log_softmax(-1, dtype=exact)
            return {"logps_N": log_probs_NV.gather(-1, score["target_N"][:, None]).squeeze(-1)}
        hidden = self.base_model(*args, **given).last_hidden_state
        hidden_ND = hidden.flatten(0, 1).index_select(0, score["source_N"])
        head = self.get_output_embeddings()
        return {"logps_N": ChunkedTokenLogps.apply(hidden_ND, head.weight, head.bias, score["target_N"])}

    # What inspects the signature finds the model's own.
    forward.__wrapped__ = inherited  # type: ignore[attr-defined]
    model.forward = MethodType(forward, model)
    model.scores_completions = True  # type: ignore[assignment]


def score_view(model: nn.Module, view: dict[str, Tensor]) -> Tensor:
    """Run one collated view through a model that `add_scoring` extended.

    Returns:
        Shape (B, C): log-probability of each completion token, nats; 0 where a row has none.
    """
    reads = {name: view[name] for name in ("input_ids", "attention_mask", "position_ids") if name in view}
    score = {name: view[name] for name in ("source_N", "target_N")}
    logps_N = model(**reads, score=score)["logps_N"]
    step_ids_BC = view["step_ids_BC"]
    flat = torch.zeros(step_ids_BC.numel(), dtype=logps_N.dtype, device=logps_N.device)
    return flat.index_copy(0, view["slot_N"], logps_N).view(step_ids_BC.shape)


@contextmanager
def scoring_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradient, as references and mismatched pairs are scored: no dropout, no checkpoints."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def check_padding_free(model: nn.Module) -> None:
    """Refuse models whose attention would see over the borders of rows.

    Raises:
        ConfigError: the attention is not known to keep packed rows apart.
    """
    attention = getattr(model.config, "_attn_implementation", None)
    keeps_apart = attention in ("eager", "sdpa", "flex_attention") or str(attention).startswith("flash_attention")
    recurrent = any(hasattr(model.config, name) for name in _RECURRENT_SETTINGS)
    if not keeps_apart or recurrent:
        raise ConfigError(
            f"padding_free is not known to work with {type(model).__name__} and attention {attention!r}; "
            "set padding_free=False"
        )


def _check_head(model: nn.Module) -> None:
    head = model.get_output_embeddings()  # type: ignore[operator]
    text_config = model.config.get_text_config()  # type: ignore[union-attr,operator]
    changed = [name for name, plain in _LOGIT_SETTINGS.items() if getattr(text_config, name, None) not in plain]
    if not isinstance(head, nn.Linear) or not head.weight.is_floating_point():
        problem = f"its head is {type(head).__name__}, not a plain linear layer"
    elif changed:
        problem = f"it changes logits behind the head ({', '.join(changed)})"
    else:
        return
    raise ConfigError(f"{type(model).__name__} cannot be scored piece by piece: {problem}; set logits_path='model'")


def _compute_dtype(hidden: Tensor) -> torch.dtype:
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype


def _pieces(num_tokens: int, vocabulary: int) -> Iterator[tuple[int, int]]:
    size = max(1, MAX_LOGITS // vocabulary)
    for start in range(0, num_tokens, size):
        yield start, min(start + size, num_tokens)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Total += left @ right, summed in the precision of `total`."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += (left @ right).to(total.dtype)
