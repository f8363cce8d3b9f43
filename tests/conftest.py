"""What holds for every test."""

import signal

from hypothesis import settings

# A run that is told to end takes down what it started: fixtures end their databases and clusters on an interrupt only.
signal.signal(signal.SIGTERM, signal.default_int_handler)

# How long an example takes says nothing about the code: most tests run at the lowest priority beside others.
settings.register_profile("without_deadlines", deadline=None)
settings.load_profile("without_deadlines")
