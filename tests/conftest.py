"""What holds for every test."""

from hypothesis import settings

# How long an example takes says nothing about the code: most tests run at the lowest priority beside others.
settings.register_profile("without_deadlines", deadline=None)
settings.load_profile("without_deadlines")
