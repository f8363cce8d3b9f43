"""`python -m controller.schema generate | check`: write the JSON Schemas, or fail when they drifted."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from controller.generated import Generated
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


def schemas() -> Mapping[str, str]:
    """Return file name -> text of every JSON Schema."""
    return {f"{name}.json": render(model) for name, model in FILES.items()}


SCHEMAS = Generated("controller.schema", FOLDER, schemas)

if __name__ == "__main__":
    sys.exit(SCHEMAS.main(sys.argv[1:]))
