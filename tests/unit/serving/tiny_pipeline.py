"""A real StableDiffusion3Pipeline, tiny and untrained: it draws noise, but through all the code of a large one."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderTiny,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, PreTrainedTokenizerFast

WIDTH_PX, HEIGHT_PX = 48, 32
_LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "'
_SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
_MAX_TOKENS = 24


def save_tiny_pipeline(folder: Path, seed: int = 0) -> Path:
    """Write a pipeline without a third text encoder to `folder` and return it."""
    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    pipeline = StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=16,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=32,
            caption_projection_dim=16,
            pooled_projection_dim=32,
            pos_embed_max_size=16,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_autoencoder(),
        text_encoder=_text_encoder(),
        tokenizer=tokenizer,
        text_encoder_2=_text_encoder(),
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    )
    pipeline.save_pretrained(folder)
    return folder


def _autoencoder() -> AutoencoderTiny:
    channels = (8, 8, 8)
    vae = AutoencoderTiny(
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
        latent_channels=4,
    )
    vae.register_to_config(shift_factor=0.0, scaling_factor=1.0)
    return vae


def _text_encoder() -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(_SPECIAL) + len(_LETTERS),
            hidden_size=16,
            intermediate_size=32,
            projection_dim=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=_MAX_TOKENS,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=len(_SPECIAL) + len(_LETTERS) - 1,
        )
    )


def _tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate((*_SPECIAL, *_LETTERS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        model_max_length=_MAX_TOKENS,
    )
