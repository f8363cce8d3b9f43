"""`gatectl` in this process, and a controller that it can talk to."""

from tests.unit.cli.conftest import desk, gatectl, manifest

__all__ = ["desk", "gatectl", "manifest"]
