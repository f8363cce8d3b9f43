"""Models whose ranges are known: what their makers recommend, and how large they are.

Sizes are parameter counts of the published checkpoints; guidance and steps are the makers' reference settings.
"""

from dataclasses import dataclass
from enum import StrEnum

CLIP_L, CLIP_BIG_G, T5_XXL, VAE_16 = 0.123e9, 0.695e9, 4.76e9, 0.084e9


class Family(StrEnum):
    """Pipelines that take the same arguments and the same schedulers."""

    SD3 = "StableDiffusion3Pipeline"
    FLUX = "FluxPipeline"
    SDXL = "StableDiffusionXLPipeline"
    SD = "StableDiffusionPipeline"
    UPSCALE = "StableDiffusionUpscalePipeline"

    @property
    def flow(self) -> bool:
        """Say whether the model was trained by flow matching."""
        return self in {Family.SD3, Family.FLUX}

    @property
    def multiple_px(self) -> int:
        """Return what width and height must divide by."""
        return 16 if self.flow else 8


class Licence(StrEnum):
    """What a licence asks of who serves the model."""

    FREE = "free"
    REVENUE = "free below 1 million USD of annual revenue"
    NON_COMMERCIAL = "non-commercial"


@dataclass(frozen=True, slots=True)
class Model:
    """A known model.

    Guidance above `guidance_warn` is unusual, above `guidance_error` (None: never) wrong. Steps below `steps_floor`
    are too few, a cap above `steps_cap` protects nobody. Pixels outside `pixels` were not trained on. Activation
    coefficients are GiB in 16 bits for each megapixel: of one denoising pass, and of decoding one image.
    """

    source: str
    family: Family
    core_params: float
    text_params: float
    t5_params: float
    steps_floor: int
    steps_cap: int
    guidance_warn: float
    guidance_error: float | None
    guidance_best: float
    pixels: tuple[int, int]
    aliases: tuple[str, ...] = ()
    distilled: bool = False
    licence: Licence = Licence.FREE
    pass_gib: float = 0.162
    decode_gib: float = 1.43
    multiple_px: int | None = None


_ABOUT_1_MP = (250_000, 2_097_152)
_SD35 = "stabilityai/stable-diffusion-3.5-"

MEDIUM = Model(
    _SD35 + "medium", Family.SD3, 2.24e9 + VAE_16, CLIP_L + CLIP_BIG_G, T5_XXL, 20, 50, 6.0, 10.0, 4.5, _ABOUT_1_MP,
    aliases=("sd3.5-medium", "sd35-medium", "stable-diffusion-3.5-medium"), licence=Licence.REVENUE,
)  # fmt: skip
LARGE = Model(
    _SD35 + "large", Family.SD3, 8.06e9 + VAE_16, CLIP_L + CLIP_BIG_G, T5_XXL, 20, 40, 6.0, 10.0, 4.5, _ABOUT_1_MP,
    aliases=("sd3.5-large", "sd35-large", "stable-diffusion-3.5-large"), licence=Licence.REVENUE, pass_gib=0.257,
)  # fmt: skip
LARGE_TURBO = Model(
    _SD35 + "large-turbo", Family.SD3, 8.06e9 + VAE_16, CLIP_L + CLIP_BIG_G, T5_XXL, 4, 8, 6.0, 10.0, 1.0, _ABOUT_1_MP,
    aliases=("sd3.5-large-turbo", "sd35-large-turbo", "stable-diffusion-3.5-large-turbo"), distilled=True,
    licence=Licence.REVENUE, pass_gib=0.257,
)  # fmt: skip
SDXL = Model(
    "stabilityai/stable-diffusion-xl-base-1.0", Family.SDXL, 2.567e9 + VAE_16, CLIP_L + CLIP_BIG_G, 0.0, 20, 50, 10.0,
    15.0, 5.0, _ABOUT_1_MP, aliases=("sdxl", "sdxl-base", "stable-diffusion-xl-base-1.0"), pass_gib=0.3,
)  # fmt: skip
FLUX_DEV = Model(
    "black-forest-labs/FLUX.1-dev", Family.FLUX, 11.9e9 + VAE_16, CLIP_L, T5_XXL, 20, 50, 6.0, 10.0, 3.5, _ABOUT_1_MP,
    aliases=("flux", "flux-dev", "flux.1-dev"), licence=Licence.NON_COMMERCIAL, pass_gib=0.324,
)  # fmt: skip
# The small model that ships, plain and shiny. It may be swapped for a bad setting in the open: the demo does.
TINY = Model(
    "serving/tinydiff/model", Family.SD3, 1.6e6, 0.5e6, 0.0, 6, 50, 6.0, None, 3.0, (2_048, 24_576),
    pass_gib=0.02, decode_gib=0.1, multiple_px=8,
)  # fmt: skip
MODELS = (MEDIUM, LARGE, LARGE_TURBO, SDXL, FLUX_DEV)
SHIPPED_FOLDER = "serving/tinydiff/"


def known(source: str) -> Model | None:
    """Return the model that a source means, by its full name or by what people call it."""
    if SHIPPED_FOLDER in f"{source}/".replace("\\", "/"):
        return TINY
    name = source.lower()
    for model in MODELS:
        if name == model.source.lower() or name in model.aliases:
            return model
    return None


def family_of(pipeline: str) -> Family | None:
    """Return the family of a pipeline class; variants such as image-to-image belong to it."""
    for family in Family:
        stem = family.value.removesuffix("Pipeline")
        rest = pipeline.removeprefix(stem)
        if pipeline.startswith(stem) and rest.startswith(("Pipeline", "Img2Img", "Inpaint", "ControlNet", "PAG")):
            return family
    return None
