"""Images to PNG bytes."""

import io
from typing import Any


def to_png(image: Any) -> bytes:
    """Return a PIL image as PNG; the fastest compression, because encoding is on the request path."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
