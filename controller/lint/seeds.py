"""Seeds."""

from collections.abc import Iterator

from controller.lint import hosted, keys
from controller.lint.finding import Hit, Severity
from controller.lint.rule import rule
from controller.lint.subject import Found, Subject, is_number

ERROR, WARNING = Severity.ERROR, Severity.WARNING


@rule(ERROR, fix="seeds: per_image, one generator of its own for every image")
def seed_missing(subject: Subject) -> Iterator[Hit]:
    """Without a seed no image can be drawn again, so no difference can be shown to be the model's."""
    # A manifest of ours that leaves `seeds` out says per_image.
    if not subject.ours and subject.provider != hosted.OPENAI and not any(subject.all(keys.SEEDS)):
        yield Hit(subject.place("sampling.seeds"), "no seed is stated")


@rule(ERROR, fix="per_image: a list of generators, one for every image")
def generator_reused(subject: Subject) -> Iterator[Hit]:
    """A generator is used up by drawing: the second image of a batch, and the next request, depend on the first."""
    if not subject.local:
        return
    for found in subject.all(keys.GENERATOR):
        batched = subject.value(keys.BATCH, 1) > 1
        if found.value in ("shared", "single", "global", "batch"):
            yield Hit(found.loc, f"one generator for several images ({found.value})")
        elif found.loc[-1] == "generator" and batched and not isinstance(found.value, list):
            yield Hit(found.loc, "one generator for a whole batch")


@rule(ERROR, fix="a number from 1 to 4294967294")
def seed_zero_is_random(subject: Subject) -> Iterator[Hit]:
    """Stability reads seed 0 as "draw one": two runs with it differ, and look like an unstable model."""
    for found in _seeds(subject):
        if subject.provider == hosted.STABILITY and found.value == 0:
            yield Hit(found.loc, "seed 0 means a random one here")


@rule(ERROR, fix="a smaller number")
def seed_out_of_range(subject: Subject) -> Iterator[Hit]:
    """Providers take seeds of 31 or 32 bits; a larger or negative one is refused or cut without a word."""
    most = hosted.LARGEST_SEED.get(subject.provider)
    for found in _seeds(subject):
        if most and not 0 <= found.value <= most:
            nearest = f"{min(max(int(found.value), 1), most)}"
            yield Hit(found.loc, f"{subject.provider} takes seeds up to {most}, found {found.value}", nearest)


@rule(WARNING, fix="remove it; measure stability over repeated draws instead")
def seed_unsupported_by_provider(subject: Subject) -> Iterator[Hit]:
    """Where a provider has no seeds a seed in the file promises a repeatability that nobody can keep."""
    if subject.provider == hosted.OPENAI:
        for found in subject.all(keys.SEED):
            yield Hit(found.loc, "openai has no seeds")


def _seeds(subject: Subject) -> Iterator[Found]:
    for found in subject.all(keys.SEED):
        if is_number(found.value):
            yield found
        elif isinstance(found.value, list):
            entries = (Found((*found.loc, at), value) for at, value in enumerate(found.value))
            yield from (entry for entry in entries if is_number(entry.value))


RULES = (seed_missing, generator_reused, seed_zero_is_random, seed_out_of_range, seed_unsupported_by_provider)
