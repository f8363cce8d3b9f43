"""A report as one HTML file that opens offline: no script, nothing from elsewhere, every text escaped."""

import html
import re

from controller.gate.report_diff import Kind, Piece
from controller.gate.report_images import NoPicture, Picture, Pictures
from controller.gate.report_parts import (
    Block,
    Cell,
    Facts,
    Figure,
    Folded,
    Note,
    Page,
    Pair,
    Section,
    Side,
    Table,
    Tone,
    Words,
)
from controller.gate.report_style import STYLE

# Should escaping ever fail, the browser still runs nothing and asks nobody for anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_SMALL_PX = 256
"""Images up to this wide are enlarged, pixel by pixel: letters in them are hard to see otherwise."""
_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def render(page: Page, images: Pictures) -> str:
    """Return the page; `images` holds what to show for each digest that its pairs name."""
    body = "".join(_section(section, images) for section in page.sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{text(page.title)}: {text(page.verdict)}</title><style>{STYLE}</style></head><body>"
        f"<header><h1>{_isolated(page.title)}</h1>"
        f'<div class="verdict {page.tone}"><strong>{_isolated(page.verdict)}</strong>'
        f"<p>{_isolated(page.reason)}</p></div>{_facts(Facts(page.lead))}</header>"
        f"<main>{body}</main><footer>{_isolated(page.footer)}</footer></body></html>\n"
    )


def text(words: str) -> str:
    """Return a text as HTML shows it; what no file or screen can hold is shown as a replacement character."""
    return html.escape(_UNSHOWABLE.sub("\ufffd", words), quote=True)


def _isolated(words: str) -> str:
    # Isolation keeps a text that turns the direction of writing from turning what stands around it.
    return f"<bdi>{text(words)}</bdi>"


def _section(section: Section, images: Pictures) -> str:
    blocks = "".join(_block(block, images) for block in section.blocks)
    return f"<section><h2>{_isolated(section.title)}</h2>{blocks}</section>"


def _block(block: Block, images: Pictures) -> str:
    match block:
        case Note():
            return f'<p class="note {block.tone}">{_isolated(block.text)}</p>'
        case Facts():
            return _facts(block)
        case Table():
            return _table(block)
        case Figure():
            return f"<figure>{block.svg}<figcaption>{_isolated(block.caption)}</figcaption></figure>"
        case Folded():
            return f"<details><summary>{_isolated(block.title)}</summary><pre>{_isolated(block.text)}</pre></details>"
        case Pair():
            return _pair(block, images)


def _facts(facts: Facts) -> str:
    rows = "".join(f"<dt>{_isolated(name)}</dt><dd>{_words(words)}</dd>" for name, words in facts.rows)
    return f"<dl>{rows}</dl>"


def _table(table: Table) -> str:
    # The roles keep it a table for screen readers where a narrow screen makes its cells blocks.
    heads = "".join(f'<th scope="col" role="columnheader">{_isolated(head)}</th>' for head in table.heads)
    return (
        f'<table class="stacks" role="table"><caption>{_isolated(table.caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(_row(table, row) for row in table.rows)}</tbody></table>'
    )


def _row(table: Table, row: tuple[Words, ...]) -> str:
    first = f'<th scope="row" role="rowheader">{_words(row[0])}</th>'
    rest = "".join(
        f'<td role="cell" data-head="{text(head)}">{_words(words)}</td>'
        for head, words in zip(table.heads[1:], row[1:], strict=True)
    )
    return f'<tr role="row">{first}{rest}</tr>'


def _words(words: Words) -> str:
    if not isinstance(words, Cell):
        return _isolated(words)
    inner = f"<code>{_isolated(words.text)}</code>" if words.literal else _isolated(words.text)
    return inner if words.tone is Tone.PLAIN else f'<span class="{words.tone}">{inner}</span>'


def _pair(pair: Pair, images: Pictures) -> str:
    sides = "".join(_side(pair, side, images) for side in pair.sides)
    return (
        f'<article class="pair"><h3>{_isolated(pair.title)}</h3>{_facts(_said(pair))}<div class="sides">{sides}</div>'
        "</article>"
    )


def _said(pair: Pair) -> Facts:
    prompt = Cell(pair.prompt, literal=True) if pair.prompt else "empty"
    return Facts((("prompt", prompt), ("asked for", pair.asked), ("why it is here", pair.why)))


def _side(pair: Pair, side: Side, images: Pictures) -> str:
    parts = [f'<div class="side"><h4>{text(side.arm)}</h4>{_image(pair, side, images)}<dl>']
    if side.read is not None:
        parts.append(
            f"<dt>read by OCR</dt><dd>{_words(Cell(side.read, literal=True) if side.read else 'nothing')}</dd>"
        )
    if side.diff:
        parts.append(f"<dt>asked against read</dt><dd><code><bdi>{''.join(map(_piece, side.diff))}</bdi></code></dd>")
    parts += [f"<dt>{text(name)}</dt><dd>{_words(words)}</dd>" for name, words in side.numbers]
    return "".join(parts) + "</dl></div>"


def _image(pair: Pair, side: Side, images: Pictures) -> str:
    if side.digest is None:
        return f'<p class="empty">{_isolated(side.absent)}</p>'
    found = images.get(side.digest) or NoPicture("the image was not fetched")
    if isinstance(found, NoPicture):
        return f'<p class="empty">{_isolated(found.reason)}: {text(side.digest[:12])}</p>'
    alt = f"{side.arm}'s image of {pair.title}" + (f", in which OCR reads: {side.read}" if side.read else "")
    small = ' class="small"' if found.width_px <= _SMALL_PX else ""
    shown = f'<img{small} src="{found.uri}" width="{found.width_px}" height="{found.height_px}" alt="{text(alt)}">'
    return shown + (_scaled(found) if found.scaled else "")


def _scaled(picture: Picture) -> str:
    return f"<p>made smaller from {picture.width_px} x {picture.height_px} pixels</p>"


def _piece(piece: Piece) -> str:
    match piece.kind:
        case Kind.SAME:
            return text(piece.text)
        case Kind.MISSING:
            return f'<del><span class="hidden">not read: </span>{text(piece.text)}</del>'
        case Kind.EXTRA:
            return f'<ins><span class="hidden">read instead: </span>{text(piece.text)}</ins>'
