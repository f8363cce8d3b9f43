"""Fixtures that must exist once a session, whichever module asks for them first."""

from tests.integration.ray_cluster import ray_cluster

__all__ = ["ray_cluster"]
