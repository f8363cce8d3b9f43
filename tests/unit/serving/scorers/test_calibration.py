"""Every scorer tells known good pictures from known damaged ones."""

from random import Random

import pytest

from serving.scorers.app import SCORERS
from serving.scorers.reading import Reader
from serving.tinydiff.variants import TURBO
from tests.unit.serving.scorers.calibration import CALIBRATIONS, auc, separate
from tests.unit.serving.scorers.painted import damaged, paint, scores_of

LEAST_AUC = 0.95
PICTURES = {"text": 16, "no text": 12, "objects": 24, "logo": 20}
"""OCR takes a tenth of a second a picture; the rest costs next to nothing."""


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_good_scores_above_damaged(name: str, reader: Reader) -> None:
    """A good picture scores above a damaged one in at least 95 % of all pairs."""
    separations = separate(CALIBRATIONS[name], PICTURES.get(name, 40), reader)
    assert {metric: found for metric, found in separations.items() if found.auc < LEAST_AUC} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALIBRATIONS)
def test_good_scores_above_damaged_on_many(name: str, reader: Reader) -> None:
    """The same holds on five times as many pictures."""
    separations = separate(CALIBRATIONS[name], 5 * PICTURES.get(name, 40), reader)
    assert {metric: found for metric, found in separations.items() if found.auc < LEAST_AUC} == {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the model libraries deprecate things that are not ours
def test_the_models_own_pictures_score_above_damaged_ones(reader: Reader) -> None:
    """Pictures that the shipped model painted separate from the same ones barred, blurred or of another prompt."""
    pictures, rng = paint(TURBO, 24), Random(1)
    good, bad = scores_of(pictures, reader), scores_of(damaged(pictures, rng), reader)
    aucs = {metric: auc(good[metric], bad[metric]) for metric in ("text_accuracy", "words", "objects")}
    assert {metric: value for metric, value in aucs.items() if value < LEAST_AUC} == {}


def test_every_scorer_is_calibrated(reader: Reader) -> None:
    """No metric is without a calibration; alignment has its own, with a checkpoint that the test trains."""
    covered = {scorer.metric for one in CALIBRATIONS.values() for scorer in one.scorers(reader)}
    assert covered == {scorer.metric for scorer in SCORERS} - {"alignment"}


@pytest.mark.parametrize(
    ("good", "damaged", "expected"), [([1.0, 0.9], [0.1], 1.0), ([0.5], [0.5], 0.5), ([0.1], [0.2, 0.05], 0.5)]
)
def test_auc(good: list[float], damaged: list[float], expected: float) -> None:
    """Pairs in the right order count one, ties a half."""
    assert auc(good, damaged) == expected
