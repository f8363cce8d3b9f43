"""The distributions that a scenario names: checked here, drawn by `controller.sim`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from controller.schema.document import MAX_BYTES, shown
from controller.schema.faults import Fault, FileModel, refuse

Positive = Annotated[float, Field(gt=0, le=1e6)]
Part = Annotated[float, Field(ge=0, le=1)]

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "lognormal": ("median", "sigma"),
    "gamma": ("mean", "shape"),
    "weibull": ("mean", "shape"),
    "beta": ("mean", "concentration"),
    "empirical": ("file",),
}
QUANTITIES = ("lognormal", "gamma", "weibull", "empirical")
SCORES = ("beta", "empirical")


@dataclass(frozen=True, slots=True)
class Tail:
    """A part of the values that comes from elsewhere.

    Lognormal with `median` and `sigma`, or, with `pareto`, the family's own value times a Pareto variable of at
    least 1 with that shape.
    """

    share: float
    median: float = 1.0
    sigma: float = 0.0
    pareto: float | None = None


@dataclass(frozen=True, slots=True)
class Law:
    """One metric's distribution: family, its parameters, mass at 1 for scores, and the values of a file."""

    family: str
    parameters: tuple[float, ...] = ()
    tail: Tail | None = None
    exact_share: float = 0.0
    values: tuple[float, ...] = ()


class TailFile(FileModel):
    """`tail:` of a family."""

    share: Annotated[float, Field(gt=0, lt=1)]
    median: Positive | None = None
    sigma: Annotated[float, Field(gt=0, le=5)] | None = None
    pareto: Annotated[float, Field(gt=1, le=100)] | None = None

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        lognormal = self.median is not None and self.sigma is not None
        if lognormal == (self.pareto is not None) or (self.pareto and (self.median or self.sigma)):
            refuse([((), "needs either `median` and `sigma` (lognormal) or `pareto`, the shape of a factor")])
        return self

    def core(self) -> Tail:
        """Return the value."""
        return Tail(self.share, self.median or 1.0, self.sigma or 0.0, self.pareto)


class LawFile(FileModel):
    """One distribution: a family and exactly its parameters."""

    family: Literal["lognormal", "gamma", "weibull", "beta", "empirical"]
    median: Positive | None = None
    sigma: Annotated[float, Field(gt=0, le=5)] | None = None
    mean: Positive | None = None
    shape: Annotated[float, Field(gt=0.05, le=1e4)] | None = None
    concentration: Annotated[float, Field(gt=0, le=1e5)] | None = None
    file: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    tail: TailFile | None = None
    exact_share: Part | None = None

    @model_validator(mode="after")
    def _has_its_parameters(self, info: ValidationInfo) -> Self:
        refuse(self._faults(info.context if isinstance(info.context, Path) else None))
        return self

    def _faults(self, base: Path | None) -> Iterator[Fault]:
        wanted = PARAMETERS[self.family]
        for name in wanted:
            if getattr(self, name) is None:
                yield (), f"{self.family} needs {' and '.join(wanted)}; {name} is missing"
        for name in sorted({name for names in PARAMETERS.values() for name in names} - set(wanted)):
            if getattr(self, name) is not None:
                yield (name,), f"is no parameter of {self.family}; allowed: {', '.join(wanted)}"
        if self.family == "beta" and self.mean is not None and self.mean >= 1:
            yield ("mean",), f"must be less than 1 for beta, found {self.mean:g}"
        if self.file is not None and base is not None:
            try:
                values_of(base / self.file)
            except ValueError as error:
                yield ("file",), str(error)

    def core(self, base: Path) -> Law:
        """Return the value; an empirical file is read relative to `base`."""
        numbers = [getattr(self, name) for name in PARAMETERS[self.family] if name != "file"]
        return Law(
            family=self.family,
            parameters=tuple(float(number) for number in numbers),
            tail=self.tail.core() if self.tail else None,
            exact_share=self.exact_share or 0.0,
            values=values_of(base / self.file) if self.file else (),
        )


def values_of(path: Path) -> tuple[float, ...]:
    """Return the numbers of a file, one a line; ValueError says what is wrong with it."""
    try:
        size = path.stat().st_size
        lines = path.read_text(encoding="utf-8").split() if size <= MAX_BYTES * 16 else []
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{path} can't be read as text; expected one number a line") from None
    if not lines:
        raise ValueError(f"{path} is empty or larger than 16 MiB; expected one number a line")
    values = []
    for number, text in enumerate(lines, 1):
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1e6:
            raise ValueError(f"{path}: entry {number} is {shown(text, 20)}; expected a number from 0 to 1e6")
        values.append(value)
    return tuple(values)
