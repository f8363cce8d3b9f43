"""The registry: a provider by its name, imported when it is asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import cast

from controller.core.spec import ModelSpec
from serving.providers.protocol import BadConfigError, Provider

PROVIDERS: Mapping[str, str] = {
    "diffusers": "serving.providers.diffusers:DiffusersProvider",
    "fake": "serving.providers.fake:FakeProvider",
}


def provider_for(spec: ModelSpec) -> Provider:
    """Return the spec's provider, not loaded yet; BadConfigError for an unknown name or wrong options."""
    if spec.provider not in PROVIDERS:
        raise BadConfigError(f"model.provider: {spec.provider!r} is unknown; known are {', '.join(sorted(PROVIDERS))}")
    module, name = PROVIDERS[spec.provider].split(":")
    return cast("Provider", getattr(import_module(module), name)(spec))
