"""The price book: what an hour of a device costs, with where and when the price was read."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from controller.schema.document import Document, read
from controller.schema.faults import FileModel, accept
from controller.schema.model import SchemaVersion, Text
from controller.schema.policy import POLICIES

PRICE_BOOK = POLICIES / "prices.yaml"

GpuClass = Annotated[str, Field(min_length=1, max_length=48)]


class PriceFile(FileModel):
    """One entry of `prices:`."""

    usd_per_hour: Annotated[float, Field(gt=0, le=10_000)]
    source: Text
    date: date


class PricesFile(FileModel):
    """A price book, whole; keys of `prices` are the classes that `resources.gpu` names."""

    schema_version: SchemaVersion
    kind: Literal["prices"]
    prices: Annotated[dict[GpuClass, PriceFile], Field(min_length=1)]


def parse_prices(document: Document) -> Mapping[str, float]:
    """Return the US dollars an hour of each class that a document declares."""
    return {gpu: float(price.usd_per_hour) for gpu, price in accept(document, PricesFile).prices.items()}


def load_prices(path: Path = PRICE_BOOK) -> Mapping[str, float]:
    """Return the US dollars an hour of each class; InvalidFileError with every fault."""
    return parse_prices(read(path))
