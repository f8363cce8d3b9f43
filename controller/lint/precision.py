"""Precision and memory."""

from collections.abc import Iterator

from controller.lint import closest, keys
from controller.lint.finding import Hit, Severity
from controller.lint.gpus import LARGEST_ASSUMED
from controller.lint.memory import USABLE_SHARE, drops_t5, estimate
from controller.lint.rule import rule
from controller.lint.subject import PRECISIONS, Subject, plain_dtype
from controller.schema.document import shown

ERROR, WARNING = Severity.ERROR, Severity.WARNING
_SHORT = {"bf16": "bfloat16", "fp16": "float16", "half": "float16"}
_OLD_ALLOCATOR = "PYTORCH_CUDA_ALLOC_CONF"
_QUANTIZED = ("int8", "int4", "nf4", "fp4", "fp8", "float8", "gguf", "q4", "q8")


@rule(ERROR, fix="name it: bfloat16, or float16 on devices without it")
def dtype_not_torch_dtype(subject: Subject) -> Iterator[Hit]:
    """Diffusers turns every dtype that torch does not have, "auto" and "bf16" too, into float32 without an error."""
    found = subject.precision
    if subject.local and found and plain_dtype(found.value) not in PRECISIONS and not subject.full_precision:
        name = plain_dtype(found.value).lower()
        better = _SHORT.get(name) or closest.word(name, PRECISIONS) or "bfloat16"
        yield Hit(found.loc, f"{shown(str(found.value))} is not a torch dtype: it would load as float32", f"{better}")


@rule(ERROR, fix="bfloat16; float16 on devices below compute capability 8.0")
def precision_fp32_on_gpu(subject: Subject) -> Iterator[Hit]:
    """float32 doubles weights and activations and runs at a fraction of the speed, for no visible gain."""
    large = subject.gpu_name is None and subject.model is not None and subject.model.core_params >= 1e9
    on_gpu = subject.gpu_name is not None and not subject.on_cpu
    if subject.local and subject.full_precision and subject.precision and (on_gpu or large):
        yield Hit(subject.precision.loc, "float32 on a GPU", _half(subject))


@rule(ERROR, fix="float16, and look for black images: some decoders overflow in it")
def dtype_unsupported_by_gpu(subject: Subject) -> Iterator[Hit]:
    """Devices below compute capability 8.0 emulate bfloat16: it works, many times slower."""
    found, gpu = subject.precision, subject.gpu
    if found and gpu and plain_dtype(found.value) == "bfloat16" and not gpu.native_bfloat16:
        yield Hit(found.loc, f"a {gpu.name} (compute capability {gpu.capability / 10}) has no bfloat16")


@rule(ERROR, fix="a smaller batch, 16 bits, a quantised text encoder, or a GPU with more memory")
def vram_budget_exceeded(subject: Subject) -> Iterator[Hit]:
    """Weights and activations that need more than nine tenths of a device's memory end in out-of-memory errors."""
    need = estimate(subject) if subject.local and not subject.on_cpu else None
    gpu = subject.gpu if subject.gpu_name else LARGEST_ASSUMED
    if need is None or gpu is None or subject.any(keys.OFFLOAD):
        return
    share = min(1.0, subject.value(keys.NUM_GPUS, 1.0))
    budget_gib = USABLE_SHARE * gpu.memory_gib * share
    if need.total_gib > budget_gib:
        where = subject.number(keys.BATCH) if need.weights_gib < budget_gib else subject.precision
        of = f"{share:g} of the {gpu.name}" if share < 1 else f"the {gpu.name}"
        yield Hit(
            where.loc if where else subject.place("resources.gpu"),
            f"needs about {need.total_gib:.1f} GiB (weights {need.weights_gib:.1f}, activations "
            f"{need.activations_gib:.1f}, estimated); {of} leaves {budget_gib:.1f}",
        )


@rule(ERROR, fix="keep the long-text encoder; in 8 bits it costs half")
def t5_dropped_typography_suite(subject: Subject) -> Iterator[Hit]:
    """Without its T5 encoder a model loses most of its spelling: it won 38 % of comparisons of text by its makers."""
    found = next(iter(subject.all(keys.T5)), None) or subject.any(keys.DROP_T5)
    if found and drops_t5(subject):
        yield Hit(found.loc, "the text encoder that spells is left out")
    folder = subject.facts.folder
    left_out = folder is not None and "text_encoder_3" in folder.components and not folder.components["text_encoder_3"]
    if not found and left_out and subject.model and subject.model.t5_params:
        yield Hit(subject.place("model.source"), "the folder leaves out text_encoder_3, the text encoder that spells")


@rule(ERROR, fix="a policy with text_accuracy as a guardrail")
def quantized_without_suite(subject: Subject) -> Iterator[Hit]:
    """Four- and eight-bit weights shift small letters first; without a criterion on text nobody would notice."""
    found = subject.any(keys.QUANTIZATION)
    named = subject.precision
    if named and any(word in plain_dtype(named.value).lower() for word in _QUANTIZED):
        found = named
    if found and not subject.judges_text:
        yield Hit(found.loc, "quantised weights, and no policy known here that judges text")


@rule(WARNING, fix="run the whole suite again before trusting earlier results")
def lossy_vae_or_attn_swap(subject: Subject) -> Iterator[Hit]:
    """Tiny decoders lose detail, and int8 attention changes images: neither raises an error."""
    for found in subject.all(keys.VAE):
        if isinstance(found.value, str) and ("taesd" in found.value.lower() or "AutoencoderTiny" in found.value):
            yield Hit(found.loc, "a tiny decoder in place of the model's own")
    for found in subject.all(keys.ATTENTION):
        if str(found.value).startswith("sage"):
            yield Hit(found.loc, "this attention computes in int8")
    folder, model = subject.facts.folder, subject.model
    swapped = folder is not None and folder.components.get("vae") == "AutoencoderTiny"
    if swapped and model and model.core_params >= 1e9:
        yield Hit(subject.place("model.source"), "the folder holds a tiny decoder in place of the model's own")


@rule(WARNING, fix="PYTORCH_ALLOC_CONF, set before torch is imported")
def alloc_conf_deprecated(subject: Subject) -> Iterator[Hit]:
    """Torch has renamed PYTORCH_CUDA_ALLOC_CONF; the old name warns today and is ignored one day."""
    for loc in subject.document.values:
        if loc and (loc[-1] == _OLD_ALLOCATOR or subject.at(*loc) == _OLD_ALLOCATOR):
            yield Hit(loc, f"{_OLD_ALLOCATOR} is deprecated")


def _half(subject: Subject) -> str:
    return "float16" if subject.gpu and not subject.gpu.native_bfloat16 else "bfloat16"


RULES = (
    dtype_not_torch_dtype,
    precision_fp32_on_gpu,
    dtype_unsupported_by_gpu,
    vram_budget_exceeded,
    t5_dropped_typography_suite,
    quantized_without_suite,
    lossy_vae_or_attn_swap,
    alloc_conf_deprecated,
)
