"""Cost."""

from collections.abc import Iterator
from datetime import date, timedelta

from controller.lint import closest
from controller.lint.finding import Hit, Severity
from controller.lint.rule import rule
from controller.lint.subject import Subject, Topic, is_number
from controller.schema.document import shown

FRESH = timedelta(days=90)
DEAREST_USD_PER_HOUR = 200.0


@rule(
    Severity.ERROR,
    fix="an entry of policies/prices.yaml with the source and the day it was read",
    topics=(Topic.ARM, Topic.PRICES),
)
def price_book_missing_or_stale(subject: Subject) -> Iterator[Hit]:
    """Cost per image is hours times a price: without one nothing can be compared, and an old one says last year's."""
    if subject.topic is Topic.PRICES:
        yield from _book(subject)
        return
    found, prices = subject.gpu_name, subject.facts.prices
    if not found or prices is None:
        return
    price = prices.get(found.value)
    if price is None:
        likely = closest.word(found.value, prices)
        yield Hit(found.loc, f"{shown(found.value)} has no price in the price book", likely or "")
    elif subject.facts.today - price.read_on > FRESH:
        age = (subject.facts.today - price.read_on).days
        message = f"the price of {found.value} was read {age} days ago, on {price.read_on}"
        yield Hit(found.loc, message, "read it again", Severity.WARNING)


def _book(subject: Subject) -> Iterator[Hit]:
    prices = subject.at("prices")
    for name, entry in prices.items() if isinstance(prices, dict) else ():
        given = entry if isinstance(entry, dict) else {}
        usd = given.get("usd_per_hour")
        if is_number(usd) and usd > DEAREST_USD_PER_HOUR:
            yield Hit(("prices", name, "usd_per_hour"), f"{usd:g} USD an hour: another unit?", "US dollars an hour")
        try:
            read_on = date.fromisoformat(str(given.get("date")))
        except ValueError:
            continue
        age = subject.facts.today - read_on
        if age > FRESH:
            loc = ("prices", name, "date")
            yield Hit(loc, f"read {age.days} days ago", "read it again", Severity.WARNING)


RULES = (price_book_missing_or_stale,)
