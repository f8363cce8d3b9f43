"""What a prompt asks to be written: the text between double quotes."""

import re

_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”')


def quoted_text(prompt: str) -> str | None:
    """Return the quoted strings of a prompt joined by a space, None when nothing is quoted."""
    found = [(straight or curly).strip() for straight, curly in _QUOTED.findall(prompt)]
    return " ".join(text for text in found if text) or None
