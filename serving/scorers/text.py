"""Text accuracy: 1 - character error rate between what the prompt quotes and what OCR reads.

`cer = min(1, levenshtein(norm(read), norm(asked)) / len(norm(asked)))` with `norm` = NFKC, upper case,
letters and digits only. RapidOCR reads small images wrong or slowly by its defaults, so they are padded by
their border and enlarged here, and its own resizing is capped at 320 pixels: measured on clean 96x64
renderings as 32 of 32 words read at 0.1 s, against 30 of 32 at 0.8 s. Its model also knows Chinese and
Japanese and sometimes sees them in a single Latin letter; letters of scripts that the prompt does not use
are dropped.
"""

import io
import unicodedata
from typing import Any, Final

from serving.quotes import quoted_text
from serving.scorers.protocol import Scored

SIDE_LIMIT_PX: Final = 320
PADDING_PX: Final = 8
SMALL_PX: Final = 256


class TextScorer:
    """One OCR engine on one thread; loads on first use."""

    metric = "text_accuracy"
    version = "rapidocr3.10-ppocrv6-limit320-cer1"

    def __init__(self) -> None:
        self._engine: Any = None

    def load(self) -> None:
        """Load the engine, whose weights are in its wheel: nothing is downloaded."""
        from rapidocr import RapidOCR

        self._engine = RapidOCR(
            params={
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Global.log_level": "critical",
                "Det.limit_side_len": SIDE_LIMIT_PX,
                "Det.limit_type": "max",
            }
        )

    def score(self, prompt: str, image_png: bytes) -> Scored:
        """Score one image against the text that its prompt quotes."""
        asked = normalised(quoted_text(prompt) or "")
        if not asked:
            return Scored(None, "not_applicable")
        return Scored(1.0 - character_error_rate(asked, normalised(self.read(image_png), like=asked)))

    def read(self, image_png: bytes) -> str:
        """Return the text that OCR finds, in reading order, joined by spaces."""
        if self._engine is None:
            self.load()
        result = self._engine(_prepared(image_png), use_det=True, use_cls=False, use_rec=True)
        if result.txts is None:
            return ""
        placed = sorted(zip(map(_corner, result.boxes), result.txts, strict=True))
        return " ".join(text for _, text in placed)


def normalised(text: str, like: str | None = None) -> str:
    """Return letters and digits in upper case; with `like`, without scripts that it does not use."""
    kept = "".join(c for c in unicodedata.normalize("NFKC", text).upper() if c.isalnum())
    if like is None:
        return kept
    scripts = set(map(_script, like))
    return "".join(c for c in kept if c.isdigit() or _script(c) in scripts or scripts <= {"DIGIT"})


def character_error_rate(asked: str, read: str) -> float:
    """Return the edit distance as a share of what was asked for, at most 1."""
    row = list(range(len(read) + 1))
    for i, wanted in enumerate(asked, start=1):
        diagonal, row[0] = row[0], i
        for j, found in enumerate(read, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != found))
    return min(1.0, row[-1] / len(asked))


def _script(character: str) -> str:
    return unicodedata.name(character, "UNKNOWN").split(" ", 1)[0]


def _corner(box: Any) -> tuple[int, float]:
    """Return a sort key: the line a box is on (in steps of half its height), then its left edge."""
    tops, lefts = [float(point[1]) for point in box], [float(point[0]) for point in box]
    height = max(1.0, max(tops) - min(tops))
    return round((min(tops) + height / 2) / height), min(lefts)


def _prepared(image_png: bytes) -> Any:
    """Return the image as BGR, small ones padded by repeating their border and enlarged."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(image_png)) as opened:
        image = opened.convert("RGB")
    if max(image.size) < SMALL_PX:
        edges = ((PADDING_PX, PADDING_PX), (PADDING_PX, PADDING_PX), (0, 0))
        image = Image.fromarray(np.pad(np.asarray(image), edges, mode="edge"))
        scale = SIDE_LIMIT_PX / max(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
