"""Statistics."""

import math
from collections.abc import Iterator

from controller.lint import keys
from controller.lint.finding import Hit, Severity
from controller.lint.rule import rule
from controller.lint.subject import Found, Subject, Topic

CONFIDENCE = 0.95
PERCENTILES = {"p90": 0.90, "p95": 0.95, "p99": 0.99}


def samples_needed(percentile: float, confidence: float = CONFIDENCE) -> int:
    """Return how many samples, none of them over the limit, certify a percentile (exact binomial, one-sided)."""
    return math.ceil(math.log(1 - confidence) / math.log(percentile))


@rule(
    Severity.ERROR,
    fix="more prompts or repeats, or a lower percentile offline and p99 in the canary",
    topics=(Topic.ARM, Topic.POLICY),
)
def sample_too_small_for_percentile(subject: Subject) -> Iterator[Hit]:
    """299 samples with none over the limit certify a p99 at 95 %, 59 a p95, 29 a p90; fewer only look like it."""
    stated = subject.number(keys.SAMPLES)
    if not stated:
        return
    samples = stated.value * max(1.0, subject.value(keys.REPEATS, 1))
    for found in _percentiles(subject):
        needed = samples_needed(PERCENTILES[found.value])
        if samples < needed:
            yield Hit(
                found.loc, f"{samples:g} samples can't certify a {found.value}; {needed} can", f"{needed} samples"
            )


def _percentiles(subject: Subject) -> Iterator[Found]:
    for loc in subject.document.keys:
        name, value = str(loc[-1]), subject.at(*loc)
        if name == "statistic" and isinstance(value, str) and value in PERCENTILES:
            yield Found(loc, value)
        else:
            stem = next((word for word in PERCENTILES if word in name.split("_")), None)
            if stem:
                yield Found(loc, stem)


RULES = (sample_too_small_for_percentile,)
