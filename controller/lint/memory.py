"""How much GPU memory a model needs, from sizes alone.

Resident weights, plus the larger of denoising and decoding, a tenth for fragmentation, and the device's context.
Activations grow with images x passes x pixels; the coefficients were derived from SD3.5's architecture, not measured
on a device, so the figure is an estimate and says so.
"""

from dataclasses import dataclass

from controller.lint import keys
from controller.lint.models import MEDIUM, Model
from controller.lint.subject import Subject

GIB = 2**30
MEGAPIXEL = 1e6
FRAGMENTATION = 1.1
CONTEXT_GIB = 0.5
USABLE_SHARE = 0.9
NATIVE_PX = 1024.0


@dataclass(frozen=True, slots=True)
class Need:
    """GiB of each part of the estimate."""

    weights_gib: float
    activations_gib: float

    @property
    def total_gib(self) -> float:
        """Return the whole."""
        return (self.weights_gib + self.activations_gib) * FRAGMENTATION + CONTEXT_GIB


def estimate(subject: Subject) -> Need | None:
    """Return what one replica needs; None when neither the model nor its files are known."""
    parameters = _parameters(subject)
    if parameters is None:
        return None
    model = subject.model or MEDIUM
    scale = 1.0 if subject.model else min(1.0, (parameters / _total(MEDIUM)) ** 0.5)
    size = subject.loaded_bytes
    pixels = subject.value(keys.WIDTH, NATIVE_PX) * subject.value(keys.HEIGHT, NATIVE_PX) / MEGAPIXEL
    images = subject.value(keys.BATCH, 1)
    one_pass_gib = max(model.pass_gib * _passes(subject), model.decode_gib)
    return Need(parameters * size / GIB, images * pixels * one_pass_gib * scale * size / 2)


def _parameters(subject: Subject) -> float | None:
    folder = subject.facts.folder
    if folder and folder.parameters:
        return float(sum(folder.parameters.values()))
    if subject.model is None:
        return None
    return _total(subject.model) - (subject.model.t5_params if drops_t5(subject) else 0.0)


def _total(model: Model) -> float:
    return model.core_params + model.text_params + model.t5_params


def _passes(subject: Subject) -> int:
    guided = subject.value(keys.GUIDANCE, 7.0) > 1 and not (subject.model and subject.model.distilled)
    return 1 + guided + (guided and subject.any(keys.SKIP_LAYERS) is not None)


def drops_t5(subject: Subject) -> bool:
    """Say whether the long-text encoder is left out on purpose."""
    absent = any(found.value in (None, False, "none") for found in subject.all(keys.T5))
    return absent or subject.any(keys.DROP_T5) is not None
