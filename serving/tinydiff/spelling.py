"""The tokenizer: capitals and digits are tokens of their own, the words of the sentences are whole."""

from string import ascii_lowercase
from typing import Final

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from serving.tinydiff import vocabulary as vocab

PAD, UNKNOWN, BOS, EOS = "<pad>", "<unk>", "<bos>", "<eos>"
SPECIAL_TOKENS: Final = (PAD, UNKNOWN, BOS, EOS)
SENTENCE_WORDS: Final = ("the", "word", "in", "on", "under", "dot", "dots", "a")
MAX_TOKENS: Final = 20  # the longest sentence, five letters under a shape, is 19


def vocabulary_ids() -> dict[str, int]:
    """Token to id, in a fixed order, as the embeddings depend on it."""
    words = (*SENTENCE_WORDS, *vocab.COLOURS, *vocab.SHAPES, *vocab.SIZES, *vocab.NUMBERS)
    loose = [*ascii_lowercase, *(f"##{letter}" for letter in ascii_lowercase)]  # spell words it does not know
    tokens = [*SPECIAL_TOKENS, *vocab.LETTERS, *vocab.DIGITS, '"', *words, *loose]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer that all encoders share, padded and cut to 20 tokens."""
    ids = vocabulary_ids()
    backend = Tokenizer(models.WordPiece(vocab=ids, unk_token=UNKNOWN, continuing_subword_prefix="##"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("[^a-z]"), behavior="isolated")]
    )
    backend.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}", special_tokens=[(BOS, ids[BOS]), (EOS, ids[EOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=BOS,
        eos_token=EOS,
        model_max_length=MAX_TOKENS,
    )
