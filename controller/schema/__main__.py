"""`python -m controller.schema generate | check`: write the JSON Schemas, or fail when they drifted."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from controller.schema.candidate import CandidateFile
from controller.schema.lane import LaneFile
from controller.schema.policy import POLICIES, PolicyFile
from controller.schema.prices import PricesFile
from controller.schema.scenario import ScenarioFile
from controller.schema.suite import SuiteFile

FOLDER = POLICIES / "schema"
FILES: Mapping[str, type[BaseModel]] = {
    "candidate": CandidateFile,
    "lane": LaneFile,
    "policy": PolicyFile,
    "prices": PricesFile,
    "scenario": ScenarioFile,
    "suite": SuiteFile,
}


def render(model: type[BaseModel]) -> str:
    """Return the JSON Schema of a kind of file as text that diffs well."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def drifted(folder: Path = FOLDER) -> list[str]:
    """Return the schema files that do not say what the models say, missing and left-over ones too."""
    expected = {f"{name}.json": render(model) for name, model in FILES.items()}
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in expected | present if expected.get(name) != present.get(name))


def generate(folder: Path = FOLDER) -> None:
    """Write every schema file and remove those of kinds that are gone."""
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.json"):
        path.unlink()
    for name, model in FILES.items():
        (folder / f"{name}.json").write_text(render(model), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Run one verb and return the exit code: 0 done, 1 drifted, 2 usage."""
    match arguments:
        case ["generate"]:
            generate()
            return 0
        case ["check"]:
            names = drifted()
            if names:
                sys.stderr.write(f"{', '.join(names)} drifted; run `python -m controller.schema generate`\n")
            return 1 if names else 0
        case _:
            sys.stderr.write("usage: python -m controller.schema generate | check\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
