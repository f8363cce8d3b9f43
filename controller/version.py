"""The version that audit entries and reports name."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("swapgate")
except PackageNotFoundError:  # run from a checkout without installing
    VERSION = "0+unknown"
