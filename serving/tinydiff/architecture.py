"""Build the untrained model of stock diffusers and transformers classes, so that any loader can read it."""

from typing import Final

import torch
from diffusers import (
    AutoencoderTiny,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from tokenizers import Regex, Tokenizer, models, normalizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from serving.tinydiff.spelling import (
    BOS,
    EOS,
    MAX_TOKENS,
    PAD,
    SPECIAL_TOKENS,
    UNKNOWN,
    build_tokenizer,
    vocabulary_ids,
)

LATENT_CHANNELS: Final = 8
VAE_CHANNELS: Final = 32
WIDE_TEXT: Final = 112
NARROW_TEXT: Final = 32
TEXT_WIDTH: Final = WIDE_TEXT + NARROW_TEXT
HEADS: Final = 4
HEAD_WIDTH: Final = 40
LAYERS: Final = 4
T5_TOKENS: Final = 4  # with no T5 the pipeline appends that many zero tokens: pass max_sequence_length=4


def build_vae() -> AutoencoderTiny:
    """An autoencoder without norm layers: 4 x 4 pixels to 8 numbers."""
    return AutoencoderTiny(
        encoder_block_out_channels=(VAE_CHANNELS,) * 3,
        decoder_block_out_channels=(VAE_CHANNELS,) * 3,
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(2, 1, 1),
        latent_channels=LATENT_CHANNELS,
    )


def build_text_encoder(width: int, layers: int) -> CLIPTextModelWithProjection:
    """A CLIP text encoder of the given width; the pipeline reads the layer before the last."""
    ids = vocabulary_ids()
    config = CLIPTextConfig(
        vocab_size=len(ids),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        pad_token_id=ids[PAD],
        bos_token_id=ids[BOS],
        eos_token_id=ids[EOS],
    )
    return CLIPTextModelWithProjection(config)


def build_transformer() -> SD3Transformer2DModel:
    """A joint-attention transformer over 96 image patches and 24 text tokens."""
    return SD3Transformer2DModel(
        sample_size=24,
        patch_size=2,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_layers=LAYERS,
        attention_head_dim=HEAD_WIDTH,
        num_attention_heads=HEADS,
        joint_attention_dim=TEXT_WIDTH,
        caption_projection_dim=HEADS * HEAD_WIDTH,
        pooled_projection_dim=TEXT_WIDTH,
        pos_embed_max_size=12,
        qk_norm="rms_norm",
    )


def build_pipeline(seed: int) -> StableDiffusion3Pipeline:
    """The whole untrained pipeline, its weights drawn from ``seed``."""
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    return StableDiffusion3Pipeline(
        vae=build_vae(),
        transformer=build_transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        text_encoder=build_text_encoder(WIDE_TEXT, layers=2),
        tokenizer=tokenizer,
        text_encoder_2=build_text_encoder(NARROW_TEXT, layers=1),
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    )


def build_silent_t5() -> T5EncoderModel:
    """A T5 that answers exact zeros, as the pipeline itself would use for a missing third encoder.

    Without it ``model_index.json`` has null entries that ``DiffusionPipeline.from_pretrained`` rejects.
    """
    config = T5Config(
        vocab_size=len(SPECIAL_TOKENS),
        d_model=TEXT_WIDTH,
        d_kv=8,
        d_ff=8,
        num_layers=1,
        num_heads=1,
        dropout_rate=0.0,
    )
    with torch.random.fork_rng(devices=[]):  # built at every checkpoint: must not move the training's noise
        encoder = T5EncoderModel(config)
    for weight in encoder.parameters():
        torch.nn.init.zeros_(weight)
    return encoder


def build_silent_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that reads nothing, so that the silent T5 never warns of a cut prompt."""
    ids = {token: index for index, token in enumerate(SPECIAL_TOKENS)}
    backend = Tokenizer(models.WordLevel(vocab=ids, unk_token=UNKNOWN))
    backend.normalizer = normalizers.Replace(Regex(r"[\s\S]+"), "")
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=PAD, unk_token=UNKNOWN, model_max_length=T5_TOKENS
    )
