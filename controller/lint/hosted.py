"""Hosted image models: what their requests take, their limits, and the day they end.

Each table says what the providers' own specifications said in November 2026.
"""

import re
from collections.abc import Mapping
from datetime import date

OPENAI, IDEOGRAM, STABILITY = "openai", "ideogram", "stability"
PROVIDERS = (OPENAI, IDEOGRAM, STABILITY)

SHUTDOWN: Mapping[str, tuple[date, str]] = {
    "dall-e-3": (date(2026, 5, 12), "gpt-image-2"),
    "gpt-image-1": (date(2026, 10, 23), "gpt-image-2"),
    "gpt-image-1-mini": (date(2026, 12, 1), "gpt-image-2"),
    "gpt-image-1.5": (date(2026, 12, 1), "gpt-image-2"),
    "chatgpt-image-latest": (date(2026, 12, 1), "gpt-image-2"),
}
"""Model -> last day, successor."""

LARGEST_SEED: Mapping[str, int] = {IDEOGRAM: 2**31 - 1, STABILITY: 2**32 - 2}
IMAGES_IN_PROGRESS: Mapping[str, int] = {IDEOGRAM: 10}
"""Places of an organisation; a request takes one for each image."""

DALL_E_3_SIZES = ("1024x1024", "1792x1024", "1024x1792")
GPT_IMAGE_1_SIZES = ("auto", "1024x1024", "1536x1024", "1024x1536")
STABILITY_SHAPES = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")

Refused = Mapping[str, str]
"""Parameter -> what to do instead."""

NOT_TAKEN: Mapping[str, Refused] = {
    "dall-e-3": {
        "seed": "remove it: images can't be repeated here",
        "background": "remove it",
        "output_format": "remove it",
        "negative_prompt": "remove it; say it in the prompt",
    },
    "gpt-image": {
        "response_format": "remove it: the answer is always b64_json",
        "style": "remove it; say the style in the prompt",
        "negative_prompt": "remove it; say it in the prompt",
        "user": "safety_identifier",
    },
    IDEOGRAM: {
        "width": "resolution or aspect_ratio",
        "height": "resolution or aspect_ratio",
        "num_inference_steps": "rendering_speed",
        "guidance_scale": "remove it",
    },
    STABILITY: {
        "width": f"aspect_ratio, one of {', '.join(STABILITY_SHAPES)}",
        "height": f"aspect_ratio, one of {', '.join(STABILITY_SHAPES)}",
        "size": f"aspect_ratio, one of {', '.join(STABILITY_SHAPES)}",
        "num_inference_steps": "remove it: steps are the provider's",
        "guidance_scale": "cfg_scale",
        "n": "one call for each image",
        "num_images": "one call for each image",
    },
}
WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "dall-e-3": {"quality": ("standard", "hd"), "style": ("vivid", "natural"), "response_format": ("url", "b64_json")},
    "gpt-image": {
        "quality": ("auto", "low", "medium", "high", "xhigh", "max"),
        "background": ("auto", "transparent", "opaque"),
        "moderation": ("auto", "low"),
    },
    IDEOGRAM: {"rendering_speed": ("FLASH", "TURBO", "BALANCED", "DEFAULT", "QUALITY")},
    STABILITY: {"output_format": ("png", "jpeg"), "aspect_ratio": STABILITY_SHAPES},
}
"""Parameter -> the words it takes."""

MOST_IMAGES: Mapping[str, int] = {"dall-e-3": 1, "gpt-image": 10, IDEOGRAM: 8, STABILITY: 1}
DROPS_NEGATIVE_PROMPT = (OPENAI,)
_DATED = re.compile(r"-\d{4}-\d\d-\d\d$")
_IDEOGRAM_MODEL = re.compile(r"V_[123]\w*|ideogram.*", re.IGNORECASE)


def shutdown(model: str) -> tuple[date | None, str]:
    """Return a model's last day and its successor; a dated snapshot ends with its model."""
    return SHUTDOWN.get(_DATED.sub("", model), (None, ""))


def provider_of(model: str) -> str:
    """Return the provider that a model's name tells of; `diffusers` when it tells of none."""
    if model.startswith(("dall-e", "gpt-image", "chatgpt-image")):
        return OPENAI
    return IDEOGRAM if _IDEOGRAM_MODEL.fullmatch(model) else "diffusers"


def dialect(provider: str, model: str) -> str:
    """Return which table of parameters counts for a model."""
    if provider == OPENAI:
        return "dall-e-3" if model.startswith("dall-e") else "gpt-image"
    return provider


def sizes(model: str) -> tuple[str, ...]:
    """Return the sizes of a model that takes only certain ones; nothing for the others."""
    if model.startswith("dall-e"):
        return DALL_E_3_SIZES
    return GPT_IMAGE_1_SIZES if model.startswith(("gpt-image-1", "chatgpt-image")) else ()
