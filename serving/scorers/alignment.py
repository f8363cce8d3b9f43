"""Alignment: the cosine between a prompt and its image, as a CLIP-family checkpoint embeds them; negative ones are 0.

No checkpoint ships and none is downloaded: `SWAPGATE_CLIP` names a folder in the environment of the scorers' worker.
Without it the score is None, `not_configured`; a folder that can't be loaded is `unusable_checkpoint`. Cosines of one
checkpoint compare with each other only, so its digest is part of the version.
"""

import logging
import os
from pathlib import Path
from typing import Any, Final

from controller.content import content_digest
from serving.scorers.picture import Pixels
from serving.scorers.protocol import NOT_APPLICABLE, Scored, Subject

CLIP_VARIABLE: Final = "SWAPGATE_CLIP"
DEFINITION: Final = "clip-cosine1"

log = logging.getLogger(__name__)


class AlignmentScorer:
    """One checkpoint, loaded when the first image is scored."""

    metric = "alignment"
    version = DEFINITION

    def __init__(self) -> None:
        self._folder = os.environ.get(CLIP_VARIABLE)
        self._parts: tuple[Any, Any] | None = None
        self._problem: str | None = None
        if self._folder:
            self.version = f"{DEFINITION}-{self._digest(Path(self._folder))}"

    def score(self, subject: Subject) -> Scored:
        """Score one image; UnreadableError."""
        if not self._folder:
            return Scored(None, "not_configured", {"needs": f"a CLIP checkpoint's folder in {CLIP_VARIABLE}"})
        if not subject.prompt.strip():
            return NOT_APPLICABLE
        pixels = subject.picture.pixels
        if self._parts is None and self._problem is None:
            self._load(self._folder)
        if self._parts is None:
            return Scored(None, "unusable_checkpoint", {"problem": self._problem})
        cosine, truncated = _cosine(*self._parts, subject.prompt, pixels)
        return Scored(min(1.0, max(0.0, cosine)), detail={"cosine": cosine, "prompt_truncated": truncated})

    def _load(self, folder: str) -> None:
        from transformers import AutoProcessor, CLIPModel

        try:
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
            model = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
        except Exception as error:  # whatever a bad folder makes the loaders raise, the other scorers go on
            log.exception("the checkpoint that %s names can't be loaded", CLIP_VARIABLE)
            self._problem = f"{type(error).__name__}: {error}"
            return
        self._parts = processor, model

    @staticmethod
    def _digest(folder: Path) -> str:
        try:
            return content_digest(folder)[:12] if folder.is_dir() else "missing"
        except OSError:
            return "unreadable"


def _cosine(processor: Any, model: Any, prompt: str, pixels: Pixels) -> tuple[float, bool]:
    """Return the cosine, and whether the prompt was cut to what the text encoder takes."""
    import torch
    from PIL import Image

    limit = model.config.text_config.max_position_embeddings
    batch = processor(
        text=[prompt], images=[Image.fromarray(pixels)], return_tensors="pt", truncation=True, max_length=limit
    )
    whole = len(processor.tokenizer(prompt, verbose=False).input_ids)
    with torch.inference_mode():
        out = model(**batch)
        cosine = torch.nn.functional.cosine_similarity(out.text_embeds, out.image_embeds)
    return float(cosine[0]), whole > limit
