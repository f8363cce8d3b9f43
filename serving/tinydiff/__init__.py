"""The small text-to-image model that ships with Swapgate, and everything that made it."""
