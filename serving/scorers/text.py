"""What a picture says: three scores of one OCR reading.

Text accuracy is 1 - character error rate: `cer = min(1, levenshtein(norm(read), norm(asked)) / len(norm(asked)))` with
`norm` = NFKC, upper case, letters and digits only. The engine also knows Chinese and Japanese and sometimes sees them
in a single Latin letter; letters of scripts that the prompt does not use are dropped. Version 1 mixed up the order of
several words or rows.

Words is the share of the asked words that were read exactly, after the same `norm`, each as often as it was asked for.
Where the engine puts its spaces is its own affair, so asked words that were read as one word count, and so does a word
that was read in pieces.

No text is 1 when nothing is read, and loses a tenth for each letter or digit.
"""

import unicodedata
from collections.abc import Sequence
from typing import Final

from serving.scorers.protocol import NOT_APPLICABLE, Scored, Subject
from serving.scorers.reading import ENGINE, Reader, text_of

LETTERS_AT_ZERO: Final = 10


class TextScorer:
    """How close the text that is read comes to `expect.text`, letter by letter."""

    metric = "text_accuracy"
    version = f"{ENGINE}-cer2"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def score(self, subject: Subject) -> Scored:
        """Score one image; UnreadableError."""
        asked = normalised(subject.expect.get("text") or "")
        if not asked:
            return NOT_APPLICABLE
        lines = self._reader.read(subject.picture)
        rate = character_error_rate(asked, normalised(text_of(lines), like=asked))
        confidence = min((line.confidence for line in lines), default=None)
        return Scored(1.0 - rate, detail={"read": text_of(lines), "confidence": confidence})


class WordsScorer:
    """Which of the words of `expect.text` are read exactly."""

    metric = "words"
    version = f"{ENGINE}-words1"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def score(self, subject: Subject) -> Scored:
        """Score one image; UnreadableError."""
        asked = _words(subject.expect.get("text") or "")
        if not asked:
            return NOT_APPLICABLE
        missing = missing_words(asked, _words(text_of(self._reader.read(subject.picture)), like="".join(asked)))
        return Scored(1.0 - len(missing) / len(asked), detail={"asked": len(asked), "missing": missing})


class NoTextScorer:
    """Whether a picture is free of text where `expect.no_text` says so."""

    metric = "no_text"
    version = f"{ENGINE}-notext1"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def score(self, subject: Subject) -> Scored:
        """Score one image; UnreadableError."""
        if not subject.expect.get("no_text"):
            return NOT_APPLICABLE
        read = text_of(self._reader.read(subject.picture))
        return Scored(1.0 - min(1.0, len(normalised(read)) / LETTERS_AT_ZERO), detail={"read": read})


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


def missing_words(asked: Sequence[str], read: Sequence[str]) -> list[str]:
    """Return the asked words that were not read, in their order; spaces too many or too few are forgiven."""
    missing, left = _unmatched(asked, read)
    for run in _runs(missing):  # read as one word
        if "".join(run) in left and _holds(missing, run):
            left.remove("".join(run))
            missing = _unmatched(missing, run)[0]
    for run in _runs(left):  # read in pieces
        if "".join(run) in missing and _holds(left, run):
            missing.remove("".join(run))
            left = _unmatched(left, run)[0]
    return missing


def _words(text: str, like: str | None = None) -> list[str]:
    return [word for word in (normalised(part, like) for part in text.split()) if word]


def _unmatched(first: Sequence[str], second: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what each has more of than the other, in order."""
    rest, alone = list(second), []
    for word in first:
        if word in rest:
            rest.remove(word)
        else:
            alone.append(word)
    return alone, rest


def _runs(words: Sequence[str]) -> list[Sequence[str]]:
    """Return every run of two words or more, the long ones first."""
    count = len(words)
    return [words[start : start + size] for size in range(count, 1, -1) for start in range(count - size + 1)]


def _holds(words: Sequence[str], run: Sequence[str]) -> bool:
    return not _unmatched(run, words)[0]


def _script(character: str) -> str:
    return unicodedata.name(character, "UNKNOWN").split(" ", 1)[0]
