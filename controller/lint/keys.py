"""What one thing is called in the files of different people.

A dotted name is a place in a file of ours; a plain one is found wherever it stands, first come first served.
"""

Names = tuple[str, ...]

MODEL: Names = (
    "model.source", "model", "model.id", "model.name", "model_id", "model_name", "source", "repo_id", "checkpoint",
    "pretrained_model_name_or_path",
)  # fmt: skip
PROVIDER: Names = ("model.provider", "provider")
REVISION: Names = ("model.revision", "revision")
PRECISION: Names = ("model.precision", "precision", "torch_dtype", "dtype")
SCHEDULER: Names = ("model.scheduler.class", "scheduler", "scheduler_class", "sampler")
MAX_STEPS: Names = ("model.scheduler.max_steps", "max_steps", "steps_cap")
STEPS: Names = ("sampling.steps", "num_inference_steps", "steps", "num_steps")
GUIDANCE: Names = ("sampling.guidance_scale", "guidance_scale", "cfg_scale", "guidance", "cfg")
WIDTH: Names = ("sampling.width_px", "width_px", "width")
HEIGHT: Names = ("sampling.height_px", "height_px", "height")
SIZE: Names = ("size", "resolution")
BATCH: Names = ("sampling.batch_size", "batch_size", "batch", "num_images_per_prompt")
IMAGES: Names = ("n", "num_images", "num_images_per_prompt")
SEEDS: Names = ("sampling.seeds", "seeds", "seed", "generator", "generators")
SEED: Names = ("seed", "seeds")
GENERATOR: Names = ("sampling.seeds", "generator", "generators")
GPU: Names = ("resources.gpu", "gpu", "gpu_class")
NUM_GPUS: Names = ("resources.num_gpus", "num_gpus")
LANE: Names = ("lane",)
PROMPT: Names = ("prompt", "prompts")
NEGATIVE_PROMPT: Names = ("negative_prompt", "negative_prompt_2", "negative_prompt_3")
SEQUENCE_LENGTH: Names = ("model.options.max_sequence_length", "max_sequence_length")
LICENCE: Names = ("license_ack", "licence_ack")
REVENUE: Names = ("annual_revenue_usd",)
SHUTDOWN: Names = ("shutdown_date",)
FLOW_SIGMAS: Names = ("use_flow_sigmas",)
STOCHASTIC: Names = ("stochastic_sampling",)
ALGORITHM: Names = ("algorithm_type",)
SKIP_LAYERS: Names = ("skip_guidance_layers",)
T5: Names = ("text_encoder_3",)
DROP_T5: Names = ("drop_t5", "no_t5", "without_t5")
VAE: Names = ("vae", "vae_class", "tiny_vae")
ATTENTION: Names = ("attention_backend", "attn_backend", "DIFFUSERS_ATTN_BACKEND")
QUANTIZATION: Names = (
    "quantization",
    "quantisation",
    "quantize",
    "quantization_config",
    "load_in_4bit",
    "load_in_8bit",
)
OFFLOAD: Names = (
    "enable_model_cpu_offload", "enable_sequential_cpu_offload", "enable_group_offload", "cpu_offload", "offload",
)  # fmt: skip
COMPILE: Names = ("torch_compile", "compile", "compile_mode")
WARM_UP: Names = ("warmup", "warm_up", "warmup_shapes", "warmup_requests")
IN_FLIGHT: Names = ("max_ongoing_requests", "max_concurrent_queries", "threads")
SCOPED: Names = ("request_scoped", "request_scoped_pipeline")
TILES: Names = ("tile", "tiling", "tile_px", "tile_size", "enable_tiling", "vae_tiling", "tiled")
REMOTE_CODE: Names = ("trust_remote_code", "custom_pipeline")
MAGIC_PROMPT: Names = ("magic_prompt", "magic_prompt_option")
RETRIES: Names = ("max_retries", "retries", "sdk_retries", "client_retries", "gateway_retries", "retry_attempts")
RETRY_ON: Names = ("retry_on", "retry_statuses", "retry_status_codes", "retry_codes")
RETRY_BUDGET: Names = ("retry_budget",)
ASYNC: Names = ("async", "webhook_url", "generation_id")
CONCURRENCY: Names = ("concurrency", "max_concurrency", "max_in_flight", "max_concurrent_requests")
TIMEOUT: Names = ("timeout_s", "request_timeout_s", "timeout")
SAMPLES: Names = ("suite_size", "num_prompts", "samples", "num_samples", "sample_size")
REPEATS: Names = ("gate.min_repeats", "repeats", "min_repeats")
