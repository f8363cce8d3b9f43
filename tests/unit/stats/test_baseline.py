"""When the incumbent's record is tuned with, and which classes count."""

import pytest

from controller.stats.baseline import MAX_CLASSES, MIN_CLASS, Baseline, add_to_baseline, known_classes, tuned
from controller.stats.counts import ClassCounts


def record(n: int) -> ClassCounts:
    return ClassCounts.of({"a": {0: n}})


def test_the_largest_classes_are_known() -> None:
    """Those with enough requests, of equal ones the first by name, and no more than there is room for."""
    sizes = {f"class-{at:02}": MIN_CLASS + at % 3 for at in range(MAX_CLASSES + 4)} | {"rare": MIN_CLASS - 1}
    counts = ClassCounts.of({name: {0: size} for name, size in sizes.items()})
    known = known_classes(counts)
    by_size = sorted((name for name in sizes if name != "rare"), key=lambda name: (-sizes[name], name))
    assert list(known) == by_size[:MAX_CLASSES]
    assert all(counts.names[row] == name for name, row in known.items())


@pytest.mark.parametrize(
    ("n", "untuned", "wants"),
    [(19, 19, False), (20, 20, True), (99, 20, True), (100, 19, False), (110, 21, False), (110, 22, True),
     (9000, 999, False), (9000, 1000, True)],
)  # fmt: skip
def test_constants_are_tuned_when_a_fifth_is_new(n: int, untuned: int, *, wants: bool) -> None:
    """At least 20 requests and at most 1,000, whatever a fifth of the record is."""
    assert Baseline(older=record(n), n_older=n, n_untuned=untuned).wants_tuning is wants


def test_what_was_tuned_with_is_not_new() -> None:
    """The next tuning counts from here."""
    baseline = tuned(add_to_baseline(Baseline(), record(30)))
    assert (baseline.n, baseline.n_untuned) == (30, 0)
    assert add_to_baseline(baseline, record(7)).n_untuned == 7
