"""Files at the edge: YAML in, core values out, every fault with its place."""

from controller.schema.candidate import Candidate, load_candidate, parse_candidate
from controller.schema.document import Document, parse, read
from controller.schema.lane import load_lane, parse_lane
from controller.schema.policy import POLICIES, load_policy, parse_policy, policy_names
from controller.schema.prices import PRICE_BOOK, load_prices, parse_prices
from controller.schema.suite import LoadedSuite, load_suite, parse_suite, suite_names

__all__ = [
    "POLICIES",
    "PRICE_BOOK",
    "Candidate",
    "Document",
    "LoadedSuite",
    "load_candidate",
    "load_lane",
    "load_policy",
    "load_prices",
    "load_suite",
    "parse",
    "parse_candidate",
    "parse_lane",
    "parse_policy",
    "parse_prices",
    "parse_suite",
    "policy_names",
    "read",
    "suite_names",
]
