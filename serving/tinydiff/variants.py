"""The model that ships and the swaps that stories and tests are told with, each named for what it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
MODEL: Final = FOLDER / "model"
SHINY: Final = FOLDER / "shiny"
MAX_SEQUENCE_LENGTH: Final = 4  # fewer silent T5 tokens, so faster; the pipeline's own default is 256


@dataclass(frozen=True, slots=True)
class Variant:
    """What one arm would serve; ``scheduler`` is a class of diffusers."""

    name: str
    folder: Path
    steps: int
    guidance_scale: float
    scheduler: str = "FlowMatchEulerDiscreteScheduler"


INCUMBENT: Final = Variant("incumbent", MODEL, steps=16, guidance_scale=3.0)
TURBO: Final = Variant("turbo", MODEL, steps=8, guidance_scale=3.0)
SHINY_SWAP: Final = Variant("shiny", SHINY, steps=30, guidance_scale=12.0)
WRONG_SCHEDULER: Final = Variant("wrong-scheduler", MODEL, steps=16, guidance_scale=3.0, scheduler="DDIMScheduler")
HURRIED: Final = Variant("hurried", MODEL, steps=3, guidance_scale=3.0)
VARIANTS: Final = (INCUMBENT, TURBO, SHINY_SWAP, WRONG_SCHEDULER, HURRIED)
