"""The price book."""

from typing import Any

import pytest

from controller.schema import load_prices

from .conftest import REMOVED, Changed, Refusal


def test_prices_by_class(changed: Changed) -> None:
    """A price book gives US dollars an hour for each class."""
    assert load_prices(changed("prices")) == {"cpu": 0.04}


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"prices.cpu.source": REMOVED}, "prices.cpu.source", "is required"),
        ({"prices.cpu.date": REMOVED}, "prices.cpu.date", "is required"),
        ({"prices.cpu.date": "last week"}, "prices.cpu.date", "expected a date such as 2026-11-09"),
        ({"prices.cpu.date": 20261109}, "prices.cpu.date", "expected a date such as 2026-11-09"),
        ({"prices.cpu.usd_per_hour": 0}, "prices.cpu.usd_per_hour", "must be greater than 0"),
        ({"prices.cpu.usd_per_hr": 1}, "prices.cpu.usd_per_hr", "unknown key; did you mean usd_per_hour?"),
        ({"prices.cpu": 0.04}, "prices.cpu", "expected a mapping"),
        ({"prices": {}}, "prices", "must not be empty"),
        ({"prices": {"": {"usd_per_hour": 1, "source": "x", "date": "2026-11-09"}}}, "prices.", "must not be empty"),
    ],
)
def test_a_price_without_a_source_and_a_date_is_refused(
    changed: Changed, refusal: Refusal, changes: dict[str, Any], key: str, words: str
) -> None:
    """A price that nobody can trace, or that is no price, is one problem at its key."""
    path = changed("prices", changes)
    [problem] = refusal(lambda: load_prices(path))
    assert problem.key == key
    assert problem.message.startswith(words)
