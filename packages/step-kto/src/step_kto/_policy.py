"""Making a model ready to be trained: loaded, adapted, without dropout, able to score completions."""

# pyright: standard
# transformers' models and PEFT are not strictly typed

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, Trainer, set_seed

from step_kto._config import StepKTOConfig
from step_kto._forward import add_scoring, check_padding_free
from twllm_types import ConfigError

_DROPOUT_RATES = ("attention_dropout", "attn_dropout", "hidden_dropout", "dropout")


def load_policy(model: Any, *, args: StepKTOConfig, peft_config: Any) -> Any:
    """Load a model where an id or folder is given, put an adapter on where one is configured, and make it ready.

    Args:
        model: a causal language model of transformers, a PEFT model, an id, or a folder.
        args: settings.
        peft_config: of PEFT, or None.

    Raises:
        ConfigError: model and settings do not go together.
    """
    # PEFT draws the adapter's weights; without the seed a resumed run would begin elsewhere.
    set_seed(args.seed)
    if isinstance(model, str):
        model = load_model(model, args)
    elif args.model_init_kwargs:
        raise ConfigError("model_init_kwargs is set, but the model is loaded already; give its id, or leave them out")
    if peft_config is not None:
        from peft import get_peft_model

        if is_peft(model):
            raise ConfigError(
                "the model has an adapter already and peft_config is set; merge it first, or leave it out"
            )
        model = get_peft_model(model, peft_config)
    if is_peft(model):
        if any(getattr(config, "is_prompt_learning", False) for config in model.peft_config.values()):
            raise ConfigError("prompt-learning adapters put tokens before the text; use LoRA or train all weights")
        if args.gradient_checkpointing:
            # else no gradient enters the checkpointed layers, whose inputs come from frozen embeddings
            model.enable_input_require_grads()
    make_ready(model, args)
    return model


def make_ready(model: Any, args: StepKTOConfig) -> None:
    """Switch dropout off where asked for, and teach the model to score completions.

    Raises:
        ConfigError: it cannot be scored as the settings say.
    """
    if args.disable_dropout:
        disable_dropout(model)
    base = base_model(model)
    if args.padding_free:
        check_padding_free(base)
    add_scoring(base, logits_path=args.logits_path)


def load_model(name: str, args: StepKTOConfig) -> PreTrainedModel:
    """Load a causal language model in float32 unless `model_init_kwargs` says otherwise; safetensors only.

    Raises:
        ConfigError: it cannot be loaded.
    """
    given = args.model_init_kwargs if isinstance(args.model_init_kwargs, dict) else {}
    options: dict[str, Any] = {"dtype": "float32", "use_safetensors": True, **given}
    with _names_what_fails(name, "model"):
        return AutoModelForCausalLM.from_pretrained(name, **options)


def load_named_tokenizer(name: str) -> Any:
    """Load the tokenizer of a folder or hub id.

    Raises:
        ConfigError: it cannot be loaded.
    """
    with _names_what_fails(name, "tokenizer"):
        return AutoTokenizer.from_pretrained(name)


def load_tokenizer(model: Any) -> Any:
    """Load the tokenizer that belongs to a model.

    Raises:
        ConfigError: the model does not say where it came from, or there is no tokenizer.
    """
    name = getattr(base_model(model).config, "_name_or_path", "")
    if not name:
        raise ConfigError("the model was not loaded from anywhere; give its tokenizer as processing_class")
    return load_named_tokenizer(name)


def max_positions(model: Any) -> int | None:
    """The longest sequence that a model takes, in tokens; None where it does not say."""
    limit: int | None = getattr(base_model(model).config.get_text_config(), "max_position_embeddings", None)
    return limit


def is_peft(model: Any) -> bool:
    """Whether PEFT wraps the model."""
    return hasattr(model, "peft_config") and hasattr(model, "disable_adapter")


def base_model(model: Any) -> Any:
    """The model of transformers inside, or the model itself."""
    return model.get_base_model() if is_peft(model) else model


def copy_reference(model: nn.Module) -> nn.Module:
    """A frozen copy of the model as it is."""
    reference = copy.deepcopy(model)
    reference.requires_grad_(requires_grad=False)
    return reference.eval()


@contextmanager
def adapters_off(model: Any) -> Iterator[None]:
    """The base model where PEFT wraps it; the model itself otherwise."""
    if is_peft(model):
        with model.disable_adapter():
            yield
    else:
        yield


def disable_dropout(model: nn.Module) -> None:
    """Set every dropout rate to 0, also those that attention layers keep as a number."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in _DROPOUT_RATES:
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def pad_id(tokenizer: Any) -> int:
    """A token that fills rows up; it is masked, so that any does."""
    return next((int(i) for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)


def check_machine(trainer: Trainer) -> None:
    """Refuse ways of running that the loss or the reference cannot work with.

    Raises:
        ConfigError: the message names what to use instead.
    """
    if trainer.args.n_gpu > 1:
        raise ConfigError(
            "several GPUs in one process (nn.DataParallel) are not supported; start with accelerate launch or "
            "torchrun, or set CUDA_VISIBLE_DEVICES to one"
        )
    if getattr(trainer.accelerator, "parallelism_config", None) is not None:
        raise ConfigError("tensor, context and sequence parallelism are not supported; use DDP, FSDP or DeepSpeed")
    plugin = getattr(trainer.accelerator.state, "deepspeed_plugin", None)
    if plugin is not None and plugin.zero_stage == 3:
        raise ConfigError("DeepSpeed ZeRO-3 cannot compute the reference before training; use ZeRO-2 or FSDP")


@contextmanager
def _names_what_fails(name: str, part: str) -> Iterator[None]:
    """One line for the many ways in which transformers says that a folder or hub id is not whole."""
    try:
        yield
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(
            f"the {part} of {name!r} cannot be loaded ({reason}); give the folder of a whole model, or a hub id that "
            "can be reached"
        ) from error
