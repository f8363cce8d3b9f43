"""Size of images and length of prompts."""

from collections.abc import Iterator

from controller.lint import closest, hosted, keys
from controller.lint.finding import Hit, Severity
from controller.lint.models import MEDIUM, Family
from controller.lint.rule import rule
from controller.lint.subject import Found, Subject
from controller.schema.document import shown

ERROR, WARNING = Severity.ERROR, Severity.WARNING
LONGEST_TOKENS = 512
MEDIUM_TOKENS = 256
LONGEST_CHARACTERS = {"dall-e-3": 4_000, "gpt-image": 32_000, hosted.STABILITY: 10_000}
CHARACTERS_PER_TOKEN = 4
CLIP_TOKENS = 77
GPT_IMAGE_LARGEST_PX = (3840, 2160)
_ASPECT = 3.0


@rule(ERROR, fix="the nearest size that is allowed")
def resolution_invalid(subject: Subject) -> Iterator[Hit]:
    """A side that does not divide into the model's patches, or a size that a provider does not sell, is refused."""
    if subject.local:
        yield from _indivisible(subject)
    elif subject.source:
        yield from _unsold(subject, str(subject.source.value))


def _indivisible(subject: Subject) -> Iterator[Hit]:
    folder, model = subject.facts.folder, subject.model
    of = (folder and folder.multiple_px) or (model and model.multiple_px)
    of = of or (subject.family.multiple_px if subject.family else None)
    for names in (keys.WIDTH, keys.HEIGHT):
        found = subject.number(names)
        if of and found and found.value % of:
            nearest = f"{closest.multiple(found.value, of)}"
            yield Hit(found.loc, f"{found.value} px does not divide by {of}; nearest: {nearest}", nearest)


def _unsold(subject: Subject, model: str) -> Iterator[Hit]:
    found = subject.text(keys.SIZE)
    if not found or found.value == "auto":
        return
    try:
        width, height = closest.sides(str(found.value))
    except ValueError:
        return
    allowed = hosted.sizes(model)
    if allowed and found.value not in allowed:
        nearest = closest.size(width, height, allowed)
        message = f"{model} does not draw {shown(str(found.value))}; allowed: {', '.join(allowed)}"
        yield Hit(found.loc, message, nearest)
    elif model.startswith("gpt-image") and not allowed and not _free_size(width, height):
        nearest = "x".join(str(min(closest.multiple(side, 16), GPT_IMAGE_LARGEST_PX[0])) for side in (width, height))
        message = f"{model} draws sides that divide by 16, of 1:3 to 3:1, up to 3840x2160"
        yield Hit(found.loc, message, nearest)


def _free_size(width: float, height: float) -> bool:
    if not width or not height or width % 16 or height % 16:
        return False
    long, short = max(width, height), min(width, height)
    return long / short <= _ASPECT and long <= GPT_IMAGE_LARGEST_PX[0] and short <= GPT_IMAGE_LARGEST_PX[1]


@rule(ERROR, fix="the incumbent's size")
def resolution_mismatch_vs_incumbent(subject: Subject) -> Iterator[Hit]:
    """Images of different size differ in time, cost and legibility whatever the model: nothing could be compared."""
    incumbent = subject.incumbent
    width, height = subject.number(keys.WIDTH), subject.number(keys.HEIGHT)
    if incumbent and width and height:
        theirs = incumbent.sampling
        if (width.value, height.value) != (theirs.width_px, theirs.height_px):
            where = width if width.value != theirs.width_px else height
            served = f"{theirs.width_px}x{theirs.height_px}"
            yield Hit(where.loc, f"draws {width.value}x{height.value} px, the lane serves {served}", served)


@rule(WARNING, fix="a size near the one the model was trained on, about a megapixel")
def resolution_off_distribution(subject: Subject) -> Iterator[Hit]:
    """Far from the sizes that it was trained on a model repeats itself or loses composition."""
    width, height, model = subject.number(keys.WIDTH), subject.number(keys.HEIGHT), subject.model
    if model and width and height:
        low, high = model.pixels
        pixels = width.value * height.value
        if not low <= pixels <= high:
            trained = f"{model.source} is made for {low / 1e6:.3g} to {high / 1e6:.3g} megapixels"
            yield Hit(width.loc, f"{pixels / 1e6:.2g} megapixels; {trained}")


@rule(ERROR, fix="a shorter prompt, or max_sequence_length of 256 at most")
def prompt_too_long(subject: Subject) -> Iterator[Hit]:
    """Encoders cut prompts off in silence (CLIP after 77 tokens, T5 at 512); SD3.5 medium frays at edges over 256."""
    found = subject.number(keys.SEQUENCE_LENGTH)
    flow = subject.family in {Family.SD3, Family.FLUX}
    if found and flow and found.value > LONGEST_TOKENS:
        yield Hit(found.loc, f"{found.value} tokens; {subject.family} takes {LONGEST_TOKENS}", f"{LONGEST_TOKENS}")
    elif found and subject.model is MEDIUM and found.value > MEDIUM_TOKENS:
        yield Hit(found.loc, f"{found.value} tokens fray the edges of SD3.5 medium's images", "256", WARNING)
    for prompt in _prompts(subject):
        yield from _overlong(subject, prompt)


def _prompts(subject: Subject) -> Iterator[Found]:
    for found in subject.all(keys.PROMPT):
        if isinstance(found.value, str):
            yield found
        elif isinstance(found.value, list):
            entries = (Found((*found.loc, at), text) for at, text in enumerate(found.value))
            yield from (entry for entry in entries if isinstance(entry.value, str))


def _overlong(subject: Subject, prompt: Found) -> Iterator[Hit]:
    length = len(prompt.value)
    if not subject.local:
        dialect = hosted.dialect(subject.provider, str(subject.source.value) if subject.source else "")
        most = LONGEST_CHARACTERS.get(dialect)
        if most and length > most:
            yield Hit(prompt.loc, f"{length:,} characters; {dialect} takes {most:,}", f"{most:,} characters at most")
        return
    tokens = length // CHARACTERS_PER_TOKEN
    flow = subject.family in {Family.SD3, Family.FLUX}
    if tokens > LONGEST_TOKENS:
        yield Hit(prompt.loc, f"about {tokens} tokens; no encoder here reads more than {LONGEST_TOKENS}")
    elif tokens > MEDIUM_TOKENS or (tokens > CLIP_TOKENS and subject.family and not flow):
        yield Hit(prompt.loc, f"about {tokens} tokens: the end may be cut off in silence", "", WARNING)


RULES = (
    resolution_invalid,
    resolution_mismatch_vs_incumbent,
    resolution_off_distribution,
    prompt_too_long,
)
