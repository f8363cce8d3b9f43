"""A report as Markdown for a pull request: verdict, what failed, the tables; the pictures are in the HTML file.

Reviewers' tools act on text: `@name` notifies, `![](...)` loads, `<...>` is markup. Other people's words are escaped,
and exact words (prompts, commands) stand in code spans, where nothing acts.
"""

import re
from collections.abc import Iterator, Sequence

from controller.gate.report_parts import Block, Cell, Facts, Figure, Folded, Note, Page, Pair, Table, Tone, Words

MARKS = {Tone.GOOD: "✅ ", Tone.BAD: "❌ ", Tone.DOUBT: "⚠️ ", Tone.PLAIN: ""}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&])")
_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def render(page: Page) -> str:
    """Return the summary: every section that is brief."""
    lines = [
        f"### {MARKS[page.tone]}{plain(page.verdict)}",
        "",
        plain(page.reason),
        "",
        *_facts(Facts((("what", page.title), *page.lead))),
    ]
    for section in page.sections:
        if section.brief:
            lines += ["", f"#### {plain(section.title)}", ""]
            lines += _blocks(section.blocks)
    return "\n".join([*lines, "", f"<sub>{plain(page.footer)}</sub>"]) + "\n"


def plain(words: str) -> str:
    """Return a text that Markdown shows as it is, on one line, and that notifies nobody."""
    return _SPECIAL.sub(r"\\\1", _one_line(words)).replace("@", "@\u200b").replace("://", ":\u200b//")


def literal(words: str) -> str:
    """Return exact words as a code span, which may stand in a table."""
    shown = _one_line(words).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence, room = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{room}{shown or ' '}{room}{fence}"


def _one_line(words: str) -> str:
    return _UNSHOWABLE.sub(" ", words).strip()


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    """Yield lines; remarks that follow each other are one list, everything else stands apart."""
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        lines = list(_block(block))
        yield from lines
        if lines and not (_is_remark(block) and _is_remark(after)):
            yield ""


def _is_remark(block: Block | None) -> bool:
    return isinstance(block, Note) and block.tone is not Tone.PLAIN


def _block(block: Block) -> Iterator[str]:
    match block:
        case Note():
            yield f"- {MARKS[block.tone]}{plain(block.text)}" if _is_remark(block) else plain(block.text)
        case Facts():
            yield from _facts(block)
        case Table():
            yield from _table(block)
        case Figure() | Folded() | Pair():
            return


def _facts(facts: Facts) -> Iterator[str]:
    yield from (f"- {plain(name)}: {_words(words)}" for name, words in facts.rows)


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(map(plain, table.heads))} |"
    yield f"|{' --- |' * len(table.heads)}"
    yield from (f"| {' | '.join(map(_words, row))} |" for row in table.rows)


def _words(words: Words) -> str:
    if not isinstance(words, Cell):
        return plain(words)
    return MARKS[words.tone] + (literal(words.text) if words.literal else plain(words.text))
