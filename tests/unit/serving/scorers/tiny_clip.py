"""A CLIP of a few thousand parameters, saved as any other checkpoint is; random, or taught eight colours."""

import string
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from serving.tinydiff.vocabulary import COLOURS

SIDE_PX = 32
LONGEST_PROMPT = 24


def build(folder: Path, steps: int = 0) -> Path:
    """Save a checkpoint that was trained for so many steps on flat colours and their names."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor, CLIPTokenizer

    torch.set_num_threads(1)  # several are slower at this size, and many times so on a busy machine
    torch.manual_seed(1)
    letters = [letter + end for letter in string.ascii_lowercase for end in ("", "</w>")]
    vocabulary = {token: at for at, token in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=LONGEST_PROMPT)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    last = len(vocabulary) - 1
    text = {
        "vocab_size": len(vocabulary),
        "max_position_embeddings": LONGEST_PROMPT,
        "bos_token_id": last - 1,
        "eos_token_id": last,
        "pad_token_id": last,
    }
    model = CLIPModel(
        CLIPConfig(
            text_config={**size, **text},
            vision_config={**size, "image_size": SIDE_PX, "patch_size": 16},
            projection_dim=16,
        )
    )
    square = {"height": SIDE_PX, "width": SIDE_PX}
    images = CLIPImageProcessorPil(size={"shortest_edge": SIDE_PX}, crop_size=square)
    processor = CLIPProcessor(images, tokenizer)
    _teach(model, processor, steps)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def flat(colour: str, rng: Random) -> Image.Image:
    """A colour, some levels off."""
    shade = [max(0, min(255, level + rng.randint(-12, 12))) for level in COLOURS[colour]]
    return Image.fromarray(np.full((SIDE_PX, SIDE_PX, 3), shade, np.uint8))


def _teach(model: Any, processor: Any, steps: int) -> None:
    import torch

    rng = Random(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        batch = processor(
            text=list(COLOURS), images=[flat(colour, rng) for colour in COLOURS], return_tensors="pt", padding=True
        )
        loss = model(**batch, return_loss=True).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
