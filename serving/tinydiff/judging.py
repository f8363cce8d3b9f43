"""Judge a picture against its scene: read the word, name the shape, count the dots, name the colour."""

import unicodedata
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidocr import RapidOCR

from serving.tinydiff.drawing import shape_mask
from serving.tinydiff.scenes import Scene
from serving.tinydiff.vocabulary import COLOURS, HEIGHT_PX, SHAPES, WIDTH_PX

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
READER_SCALE: Final = 3
READER_MARGIN_PX: Final = 8
READER_SIDE_PX: Final = 320
FOREGROUND_LAB: Final = 45.0
SMALLEST_BLOB_SHARE: Final = 0.002
TEMPLATE_SIDE_PX: Final = 32
SHAPE_MIN_OVERLAP: Final = 0.8
LOGO_BOTTOM_PX: Final = 31


@cache
def _reader() -> Any:
    options = {
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Global.log_level": "critical",
        "Det.limit_side_len": READER_SIDE_PX,
        "Det.limit_type": "max",
    }
    return RapidOCR(params=options)


def normalise(text: str) -> str:
    """Upper-case letters and digits only, so that a reader's spaces and stray dots do not count."""
    return "".join(char for char in unicodedata.normalize("NFKC", text).upper() if char.isascii() and char.isalnum())


def read(pixels: Pixels) -> str:
    """All text that RapidOCR finds, normalised; empty if none."""
    margin = READER_MARGIN_PX
    framed = cv2.copyMakeBorder(pixels, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    large = cv2.resize(framed, None, fx=READER_SCALE, fy=READER_SCALE, interpolation=cv2.INTER_LANCZOS4)
    answer = _reader()(cv2.cvtColor(large, cv2.COLOR_RGB2BGR), use_det=True, use_cls=False, use_rec=True)
    return normalise("".join(answer.txts or ()))


def read_word(pixels: Pixels, scene: Scene) -> str:
    """The text of a scene; the part that holds a logo is cut off, as readers take a circle for an O."""
    return read(pixels[LOGO_BOTTOM_PX:] if scene.shape else pixels)


def edit_distance(left: str, right: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def character_error_rate(seen: str, asked: str) -> float:
    """Edit distance per asked character, at most 1."""
    return min(1.0, edit_distance(seen, asked) / len(asked))


def foreground(pixels: Pixels) -> Mask:
    """Pixels that differ clearly from the median of the frame."""
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    frame = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    distance = np.linalg.norm(lab - np.median(frame, axis=0), axis=-1)
    return np.asarray(distance > FOREGROUND_LAB)


def count_blobs(mask: Mask) -> int:
    """Connected regions of at least 0.2 % of a whole picture."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return int((stats[1:, cv2.CC_STAT_AREA] >= SMALLEST_BLOB_SHARE * WIDTH_PX * HEIGHT_PX).sum())


def _boxed(mask: Mask) -> NDArray[np.bool_]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return np.zeros((TEMPLATE_SIDE_PX, TEMPLATE_SIDE_PX), np.bool_)
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    return np.asarray(cv2.resize(cut, (TEMPLATE_SIDE_PX, TEMPLATE_SIDE_PX), interpolation=cv2.INTER_AREA) > 0.5)


def _template(shape: str) -> NDArray[np.bool_]:
    return _boxed(shape_mask(shape, TEMPLATE_SIDE_PX) > 0.5)


def overlap(mask: Mask, shape: str) -> float:
    """Intersection over union of the foreground and a template, both cut to their boxes.

    A diamond boxed to a square is a turned square, and a square fills its box, so the six shapes stay apart.
    """
    seen, wanted = _boxed(mask), _template(shape)
    return float((seen & wanted).sum() / max(1, (seen | wanted).sum()))


def shape_is_right(pixels: Pixels, shape: str) -> bool:
    """One blob, and of all six shapes it is most like the asked one."""
    mask = foreground(pixels)
    overlaps = {name: overlap(mask, name) for name in SHAPES}
    return count_blobs(mask) == 1 and max(overlaps, key=overlaps.__getitem__) == shape


def shape_is_clean(pixels: Pixels, shape: str) -> bool:
    """The right shape, and drawn with an overlap of at least 0.8; a perfect small star reaches 0.88."""
    return shape_is_right(pixels, shape) and overlap(foreground(pixels), shape) >= SHAPE_MIN_OVERLAP


def ink_colour(pixels: Pixels) -> str:
    """The named colour nearest to the median of the foreground's inside; empty without foreground."""
    mask = foreground(pixels)
    inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    chosen = pixels[inside if inside.any() else mask]
    if not len(chosen):
        return ""
    median = np.median(chosen, axis=0)
    return min(COLOURS, key=lambda name: float(np.linalg.norm(median - np.asarray(COLOURS[name]))))
