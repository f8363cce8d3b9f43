"""For every rule a file in which it fires and one, as near as possible, in which it stays silent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from controller.lint import Facts, Price
from tests.unit.lint.desk import COMMIT, FACTS, TINY_FOLDER, ours, with_incumbent

LARGE = "stabilityai/stable-diffusion-3.5-large"
MEDIUM = "stabilityai/stable-diffusion-3.5-medium"
TURBO = "stabilityai/stable-diffusion-3.5-large-turbo"


@dataclass(frozen=True, slots=True)
class Case:
    """`key` is where the finding must stand; facts hold for both files unless `silent_facts` differ."""

    rule: str
    key: str
    fires: Mapping[str, Any]
    silent: Mapping[str, Any]
    facts: Facts = FACTS
    silent_facts: Facts | None = None


def _call(**arguments: Any) -> dict[str, Any]:
    """Return the arguments of a pipeline of somebody else's."""
    return {"model": MEDIUM, "revision": COMMIT, "num_inference_steps": 28, "seed": 1, **arguments}


def _hosted(model: str, **parameters: Any) -> dict[str, Any]:
    return {"model": model, "prompt": "a red door", **parameters}


def _stability(**parameters: Any) -> dict[str, Any]:
    return {"provider": "stability", "model": "sd3.5-large", "seed": 7, **parameters}


IDEOGRAM = {"model": "V_2", "magic_prompt_option": "OFF", "seed": 7}
UPSCALER = {"model": "stabilityai/stable-diffusion-x4-upscaler", "revision": COMMIT, "num_inference_steps": 75}
NO_TEXT = replace(FACTS, policy=None)
STALE = {"L4": Price(0.8, "a list", date(2026, 6, 1))}


def _precision() -> Iterator[Case]:
    yield Case("dtype-not-torch-dtype", "model.precision", ours({"model.precision": "bf16"}), ours())
    yield Case("dtype-not-torch-dtype", "torch_dtype", _call(torch_dtype="auto"), _call(torch_dtype="torch.bfloat16"))
    fp32 = ours({"model.precision": "float32"})
    yield Case("precision-fp32-on-gpu", "model.precision", fp32, ours({**_cpu(), "model.precision": "float32"}))
    t4 = {"resources.gpu": "T4"}
    yield Case(
        "dtype-unsupported-by-gpu", "model.precision", ours(t4), ours({**t4, "model.precision": "float16"})
    )  # fmt: skip
    big = {"sampling.batch_size": 8}
    yield Case("vram-budget-exceeded", "sampling.batch_size", ours(big), ours({**big, "resources.gpu": "A100-40GB"}))
    yield Case("vram-budget-exceeded", "model.precision", ours({"model.source": LARGE}), ours())
    half = {"resources.num_gpus": 0.5}
    yield Case("vram-budget-exceeded", "model.precision", ours(half), ours({**half, "resources.gpu": "H100"}))
    yield Case(
        "t5-dropped-typography-suite", "text_encoder_3", _call(text_encoder_3=None), _call(text_encoder_3="t5-8bit")
    )
    without = replace(TINY_FOLDER, components={"text_encoder_3": None})
    yield Case(
        "t5-dropped-typography-suite",
        "model.source",
        ours(),
        ours({"model.source": "serving/tinydiff/model"}),
        replace(FACTS, folder=without),
    )
    yield Case(
        "quantized-without-suite", "load_in_4bit", _call(load_in_4bit=True), _call(load_in_4bit=True), NO_TEXT, FACTS
    )
    yield Case("quantized-without-suite", "dtype", _call(dtype="nf4"), _call(dtype="bfloat16"), NO_TEXT)
    yield Case("lossy-vae-or-attn-swap", "vae", _call(vae="madebyollin/taesd3"), _call(vae="AutoencoderKL"))
    yield Case(
        "lossy-vae-or-attn-swap", "attention_backend", _call(attention_backend="sage"),
        _call(attention_backend="native"),
    )  # fmt: skip
    yield Case(
        "lossy-vae-or-attn-swap",
        "model.source",
        ours(),
        ours({"model.source": "serving/tinydiff/model"}),
        replace(FACTS, folder=TINY_FOLDER),
    )
    env = "PYTORCH_CUDA_ALLOC_CONF"
    segments = "expandable_segments:True"
    yield Case(
        "alloc-conf-deprecated",
        "env[0].name",
        {"kind": "RayService", "env": [{"name": env, "value": segments}]},
        {"kind": "RayService", "env": [{"name": "PYTORCH_ALLOC_CONF", "value": segments}]},
    )
    yield Case(
        "alloc-conf-deprecated", f"env.{env}", _call(env={env: segments}), _call(env={"PYTORCH_ALLOC_CONF": segments})
    )


def _cpu() -> dict[str, Any]:
    return {"resources.gpu": "cpu", "resources.num_gpus": 0}


def _sampling() -> Iterator[Case]:
    place = "model.scheduler.class"
    yield Case("scheduler-unknown", place, ours({place: "FlowMatchEulerScheduler"}), ours())
    yield Case("scheduler-not-flow-match", place, ours({place: "DDIMScheduler"}), ours())
    multistep = {"scheduler": "DPMSolverMultistepScheduler"}
    yield Case(
        "scheduler-not-flow-match", "scheduler", _call(**multistep), _call(**multistep, use_flow_sigmas=True)
    )  # fmt: skip
    sdxl = {"model.source": "stabilityai/stable-diffusion-xl-base-1.0", place: "DDIMScheduler"}
    yield Case("scheduler-not-flow-match", place, ours({place: "EulerDiscreteScheduler"}), ours(sdxl))
    yield Case("scheduler-stochastic", place, ours({place: "FlowMatchLCMScheduler"}), ours())
    yield Case(
        "scheduler-stochastic", "algorithm_type", _call(algorithm_type="sde-dpmsolver++"),
        _call(algorithm_type="dpmsolver++"),
    )  # fmt: skip
    yield Case("steps-uncapped", "steps", {"model": MEDIUM}, _call())
    cap = "model.scheduler.max_steps"
    yield Case("steps-uncapped", cap, ours({cap: 100}), ours({cap: 50}))
    yield Case("steps-uncapped", "sampling.steps", ours({"sampling.steps": 45}), ours({"sampling.steps": 40}))
    yield Case("steps-below-model-floor", "sampling.steps", ours({"sampling.steps": 12}), ours({"sampling.steps": 20}))
    guidance = "sampling.guidance_scale"
    yield Case("guidance-out-of-range", guidance, ours({guidance: 7.5}), ours({guidance: 5}))
    turbo = {"model.source": TURBO, "sampling.steps": 4, cap: 8}
    yield Case("turbo-with-cfg", guidance, ours({**turbo, guidance: 4.5}), ours({**turbo, guidance: 1.0}))
    yield Case("turbo-with-cfg", "sampling.steps", ours({**turbo, guidance: 1, "sampling.steps": 28}), ours())
    negative = {"negative_prompt": "blurry"}
    yield Case(
        "negative-prompt-ineffective", "negative_prompt", _call(**negative, guidance_scale=1.0),
        _call(**negative, guidance_scale=4.5),
    )  # fmt: skip
    yield Case(
        "negative-prompt-ineffective", "negative_prompt", _hosted("gpt-image-2", **negative), {**IDEOGRAM, **negative}
    )
    yield Case("slg-missing-on-medium", "model", _call(), _call(skip_guidance_layers=[7, 8, 9]))
    yield Case("unknown-pipeline-kwarg", "batch_size", _call(batch_size=4), _call(num_images_per_prompt=2))
    option = "model.options.max_sequence_lenght"
    yield Case(
        "unknown-pipeline-kwarg", option, ours({option: 256}), ours({"model.options.max_sequence_length": 256})
    )  # fmt: skip


def _frames() -> Iterator[Case]:
    yield Case("resolution-invalid", "sampling.width_px", ours({"sampling.width_px": 1000}), ours())
    tiny = {"model.source": "serving/tinydiff/model", "sampling.width_px": 96}
    facts = replace(FACTS, folder=TINY_FOLDER)
    yield Case(
        "resolution-invalid", "sampling.height_px", ours({**tiny, "sampling.height_px": 60}),
        ours({**tiny, "sampling.height_px": 56}), facts,
    )  # fmt: skip
    yield Case("resolution-invalid", "size", _hosted("dall-e-3", size="512x512"), _hosted("dall-e-3", size="1024x1024"))
    yield Case(
        "resolution-invalid", "size", _hosted("gpt-image-2", size="1000x1000"), _hosted("gpt-image-2", size="1008x1008")
    )
    yield Case("resolution-mismatch-vs-incumbent", "sampling.height_px", ours({"sampling.height_px": 768}), ours())
    small = {"sampling.width_px": 384, "sampling.height_px": 384}
    yield Case("resolution-off-distribution", "sampling.width_px", ours(small), ours())
    length = "model.options.max_sequence_length"
    yield Case("prompt-too-long", length, ours({length: 600}), ours({length: 256}))
    yield Case("prompt-too-long", "prompts[1]", _call(prompts=["a", "word " * 600]), _call(prompts=["a", "word"]))
    yield Case(
        "prompt-too-long", "prompt", _hosted("dall-e-3") | {"prompt": "x" * 4001},
        _hosted("gpt-image-2") | {"prompt": "x" * 4001},
    )  # fmt: skip


def _identity() -> Iterator[Case]:
    yield Case("model-id-unqualified", "model", _call(model="sd3.5-large"), _call())
    yield Case("revision-unpinned", "model.revision", ours({"model.revision": "main"}), ours())
    yield Case("revision-unpinned", "model", {"model": MEDIUM}, _call())
    yield Case("revision-unpinned", "model", _hosted("chatgpt-image-latest"), _hosted("gpt-image-2"))
    yield Case("model-retired-or-retiring", "model", _hosted("dall-e-3"), _hosted("gpt-image-2"))
    yield Case(
        "model-retired-or-retiring", "model", _hosted("gpt-image-1-2026-01-15"), _hosted("gpt-image-2-2026-09-08")
    )
    ends = {"model": "gpt-image-2", "shutdown_date": "2027-01-01"}
    yield Case("model-retired-or-retiring", "model", ends, {**ends, "shutdown_date": "2027-12-01"})
    retired = with_incumbent(provider="openai", source="dall-e-3", revision="")
    yield Case("rollback-target-unavailable", "lane", ours(), ours(), retired, FACTS)
    yield Case("rollback-target-unavailable", "lane", ours(), ours(), with_incumbent(revision="main"), FACTS)
    yield Case("licence-unacknowledged", "model", _call(), _call(license_ack="below 1 million USD, legal, 2026"))
    yield Case("licence-unacknowledged", "model", _call(), _call(annual_revenue_usd=200_000))
    yield Case("remote-code-kernel", "trust_remote_code", _call(trust_remote_code=True), _call(trust_remote_code=False))
    yield Case(
        "remote-code-kernel", "attention_backend", _call(attention_backend="_flash_3_hub"),
        _call(attention_backend="native"),
    )  # fmt: skip


def _seeds() -> Iterator[Case]:
    yield Case("seed-missing", "seeds", {"model": MEDIUM}, _call())
    yield Case("generator-reused", "sampling.seeds", ours({"sampling.seeds": "shared"}), ours())
    yield Case(
        "generator-reused", "generator", _call(generator="g", num_images_per_prompt=2),
        _call(generator=["g", "h"], num_images_per_prompt=2),
    )  # fmt: skip
    yield Case("seed-zero-is-random", "seed", _stability(seed=0), _stability(seed=1))
    yield Case("seed-out-of-range", "seed", {**IDEOGRAM, "seed": 2**31}, {**IDEOGRAM, "seed": 2**31 - 1})
    yield Case("seed-out-of-range", "seed", _stability(seed=-1), _stability())
    yield Case("seed-unsupported-by-provider", "seed", _hosted("gpt-image-2", seed=7), {**IDEOGRAM, "seed": 7})


def _providers() -> Iterator[Case]:
    yield Case("prompt-rewrite-enabled", "magic_prompt_option", {**IDEOGRAM, "magic_prompt_option": "AUTO"}, IDEOGRAM)
    yield Case("prompt-rewrite-enabled", "model", {"model": "V_2"}, IDEOGRAM)
    hosted = "unsupported-hosted-param"
    gpt = "gpt-image-2"
    yield Case(hosted, "response_format", _hosted(gpt, response_format="url"), _hosted(gpt, output_format="png"))
    yield Case(hosted, "quality", _hosted(gpt, quality="hd"), _hosted("dall-e-3", quality="hd"))
    yield Case(hosted, "n", _hosted("dall-e-3", n=2), _hosted(gpt, n=2))
    yield Case(hosted, "width", _stability(width=1024), _stability(aspect_ratio="1:1"))
    yield Case(hosted, "cfg_scale", _stability(cfg_scale=12), _stability(cfg_scale=4.5))
    yield Case(hosted, "num_images", {**IDEOGRAM, "num_images": 9}, {**IDEOGRAM, "num_images": 8})
    one = {"client": {"max_retries": 2}}
    yield Case("retry-stacking", "gateway.retries", {**one, "gateway": {"retries": 2}}, {**one, "gateway": {}})
    yield Case("retry-stacking", "retry_budget", {"retry_budget": 0.5}, {"retry_budget": 0.1})
    again = {**IDEOGRAM, "max_retries": 2}
    yield Case("retry-non-idempotent-paid-call", "max_retries", again, {**again, "async": True})
    yield Case("retry-on-policy-or-quota", "retry_on[1]", {"retry_on": [429, 422]}, {"retry_on": [429, 503]})
    busy = {**IDEOGRAM, "num_images": 4}
    yield Case("concurrency-over-provider-limit", "concurrency", {**busy, "concurrency": 4}, {**busy, "concurrency": 2})
    yield Case("timeout-vs-slo", "timeout_s", _call(timeout_s=60), _call(timeout_s=10))
    yield Case("timeout-vs-slo", "model", _hosted(gpt), _hosted(gpt, timeout_s=10))


def _lanes() -> Iterator[Case]:
    batch = {"sampling.batch_size": 3}
    export = {**batch, "lane": "export"}
    yield Case("batch-too-large-for-lane", "sampling.batch_size", ours(batch), ours(export))
    offload = {"enable_model_cpu_offload": True}
    yield Case(
        "cpu-offload-in-preview-lane", "enable_model_cpu_offload", _call(**offload), _call(**offload, lane="export")
    )
    flying = {"max_ongoing_requests": 4}
    yield Case("pipeline-shared-concurrency", "max_ongoing_requests", _call(**flying), _call(max_ongoing_requests=1))
    yield Case(
        "pipeline-shared-concurrency", "max_ongoing_requests", _call(**flying), _call(**flying, request_scoped=True)
    )
    yield Case(
        "no-warmup-with-compile", "torch_compile", _call(torch_compile=True), _call(torch_compile=True, warmup=3)
    )  # fmt: skip
    shared = {"lanes": {"preview": {"pool": "a"}, "export": {"pool": "a"}}}
    apart = {"lanes": {"preview": {"pool": "a"}, "export": {"pool": "b"}}}
    yield Case("lane-pool-shared", "lanes.export.pool", shared, apart)
    yield Case("upscaler-untiled", "width", {**UPSCALER, "width": 512}, {**UPSCALER, "width": 512, "tile_px": 128})
    yield Case("gpu-class-mismatch", "resources.gpu", ours({"resources.gpu": "H100"}), ours())
    caps = {"rate_per_s": 2, "spend_usd": 50, "max_share": 0.25}
    yield Case("tenant-cap-missing", "tenants.acme", {"tenants": {"acme": {"rate_per_s": 2}}}, {"tenants": {"a": caps}})


def _cost_and_statistics() -> Iterator[Case]:
    price = "price-book-missing-or-stale"
    yield Case(price, "resources.gpu", ours({"resources.gpu": "L5"}), ours())
    yield Case(price, "resources.gpu", ours(), ours(), replace(FACTS, prices=STALE), FACTS)
    book = {"schema_version": 1, "kind": "prices"}
    old, new = ({"L4": {"usd_per_hour": 1, "source": "a list", "date": day}} for day in ("2026-06-01", "2026-11-01"))
    yield Case(price, "prices.L4.date", {**book, "prices": old}, {**book, "prices": new})
    p99 = {"criteria": [{"metric": "latency_s", "statistic": "p99"}], "suite_size": 150}
    yield Case("sample-too-small-for-percentile", "criteria[0].statistic", p99, {**p99, "repeats": 2})
    yield Case(
        "sample-too-small-for-percentile", "latency_p95_s", {"latency_p95_s": 2, "samples": 40},
        {"latency_p95_s": 2, "samples": 60},
    )  # fmt: skip


CASES = (
    *_precision(),
    *_sampling(),
    *_frames(),
    *_identity(),
    *_seeds(),
    *_providers(),
    *_lanes(),
    *_cost_and_statistics(),
)
