"""Markdown cut into passages: a heading with its text, split at paragraphs where it is long."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from knowledge_base.sources.document import LITERAL

WORDS = 200  # of a passage, roughly: about what the encoder reads and what several entries leave room for
LETTERS = 10  # of a word at most, on average: text with longer ones, or without spaces, is measured by its letters
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
HEAD = 2  # lines of a table that every part of it repeats
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
COMMENT_OR_CODE = re.compile(r"<!--|(?P<ticks>`+)|\\.")  # or what is escaped and is neither
# Rules by which a text would be taken for Markdown that no converter writes.
AUTHORED_ONLY = ("hr", "html_block", "lheading", "reference")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document. `title` is its nearest heading, `heading` the path to it ("Delivery > Abroad")."""

    line: int
    title: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of a document; `joint` stands between it and the block before it in one passage."""

    line: int
    text: str
    joint: str = "\n\n"


def cut(text: str, title: str, root: str = "", *, converted: bool = False) -> Iterator[Passage]:
    """Cut a Markdown document into passages, in order.

    Args:
        text: the document.
        title: stands for a heading over text before the first one.
        root: stands above all headings, where it is not the first of them already.
        converted: whether it comes from a file of another kind. Then only number signs make headings, and what looks
            like front matter, comments or HTML is text, as are lines that the converter marked with `LITERAL`.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # Only the words of headings are looked at, and reading the words is the slow part.
    blocks_only = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
    words_only = MarkdownIt("commonmark")
    if converted:
        blocks_only.disable(AUTHORED_ONLY)
        words_only.disable("html_inline")
    else:
        _blank_front_matter(lines)
        lines = _without_comments(lines, blocks_only)
    tokens = blocks_only.parse("\n".join(lines))
    path: dict[int, str] = {}
    blocks: list[_Block] = []
    tops = [i for i, token in enumerate(tokens) if token.level == 0 and token.map and token.nesting >= 0]
    for position, i in enumerate(tops):
        token = tokens[i]
        start = token.map[0] if token.map else 0
        following = tokens[tops[position + 1]].map if position + 1 < len(tops) else None
        end = following[0] if following else len(lines)
        if token.type == "heading_open":
            yield from _passages(blocks, path, title, root)
            level = int(token.tag[1:])
            words = _plain(words_only, tokens[i + 1].content.replace(LITERAL, ""))
            path = {k: v for k, v in path.items() if k < level} | {level: words}
            blocks = []
        else:
            blocks.extend(_blocks(token, tokens[i:], lines, start, end))
    yield from _passages(blocks, path, title, root)


def _passages(blocks: Sequence[_Block], path: dict[int, str], title: str, root: str) -> Iterator[Passage]:
    headings = [heading for _level, heading in sorted(path.items()) if heading] or [title]
    if root and headings[0].casefold() != root.casefold():
        headings.insert(0, root)
    packed: list[list[_Block]] = []
    size = 0
    for block in blocks:
        words = _count(block.text)
        if not packed or size + words > WORDS:
            packed.append([])
            size = 0
        packed[-1].append(block)
        size += words
    for group in packed:
        text = group[0].text + "".join(block.joint + block.text for block in group[1:])
        yield Passage(group[0].line, headings[-1], " > ".join(headings), text.replace(LITERAL, "").strip())


def _blocks(token: Token, tokens: Sequence[Token], lines: Sequence[str], start: int, end: int) -> list[_Block]:
    """Return a block whole, or in parts where it is long: a list by its items, a paragraph by its sentences."""
    text = "\n".join(lines[start:end]).strip("\n").rstrip()
    if not text:
        return []
    if _count(text) <= WORDS:
        return [_Block(start + 1, text)]
    if token.type == "paragraph_open":
        parts = [part for part in SENTENCE_END.split(text) if part]
        return _short([_Block(start + 1, part, " " if i else "\n\n") for i, part in enumerate(parts)])
    if token.type in ("bullet_list_open", "ordered_list_open"):
        starts = [t.map[0] for t in _of(tokens, token) if t.type == "list_item_open" and t.level == 1 and t.map]
        ends = [*starts[1:], end]
        items = [("\n".join(lines[a:b]).rstrip(), a) for a, b in zip(starts, ends, strict=True)]
        return _short([_Block(a + 1, item, "\n" if i else "\n\n") for i, (item, a) in enumerate(items)])
    if token.type == "table_open":
        return _parts_of_table(lines, start, end)
    return _short([_Block(start + 1, text)])


def _short(blocks: Sequence[_Block]) -> list[_Block]:
    """Divide blocks that are still long at their lines, long lines at their words, long words anywhere."""
    short: list[_Block] = []
    for block in blocks:
        if _count(block.text) <= WORDS:
            short.append(block)
            continue
        joint = block.joint
        for below, line in enumerate(block.text.split("\n")):
            for piece in _pieces(line):
                short.append(_Block(block.line + below, piece, joint))
                joint = " "
            joint = "\n"
    return short


def _pieces(line: str) -> Iterator[str]:
    """Yield a line whole, or in pieces of whole words; a word without end is cut."""
    if _count(line) <= WORDS:
        yield line
        return
    most = WORDS * LETTERS
    words = (word[i : i + most] for word in line.split() for i in range(0, len(word), most))
    piece: list[str] = []
    size = 0.0
    for word in words:
        count = max(_count(word), (len(word) + 1) / LETTERS)
        if piece and size + count > WORDS:
            yield " ".join(piece)
            piece, size = [], 0.0
        piece.append(word)
        size += count
    if piece:
        yield " ".join(piece)


def _parts_of_table(lines: Sequence[str], start: int, end: int) -> list[_Block]:
    """Divide a long table between rows; each part begins with the head, without which its cells say little."""
    head = "\n".join(lines[start : start + HEAD])
    parts: list[_Block] = []
    rows: list[str] = []
    size = 0
    first = start + HEAD
    for i in range(first, end):
        count = _count(lines[i])
        if rows and size + count > WORDS - _count(head):
            parts.append(_Block(first + 1, "\n".join([head, *rows])))
            rows, size, first = [], 0, i
        rows.append(lines[i])
        size += count
    if rows:
        parts.append(_Block(first + 1, "\n".join([head, *rows]).rstrip()))
    return parts if all(_count(part.text) <= 2 * WORDS for part in parts) else _short(parts)


def _of(tokens: Sequence[Token], opening: Token) -> Iterator[Token]:
    """Yield the tokens of the block that `tokens` begin with."""
    closing = opening.type.replace("_open", "_close")
    for token in tokens:
        yield token
        if token.type == closing and token.level == 0:
            return


def _plain(parser: MarkdownIt, heading: str) -> str:
    """Return the words of a heading without its marks; of an endless one the beginning."""
    (inline,) = parser.parseInline(heading[: WORDS * LETTERS]) if heading else [None]
    children = (inline.children if inline else None) or ()
    words = (child.content if child.type in ("text", "code_inline") else " " for child in children
             if child.type in ("text", "code_inline", "softbreak", "hardbreak"))  # fmt: skip
    return " ".join("".join(words).split())


def _without_comments(lines: list[str], parser: MarkdownIt) -> list[str]:
    """Return lines without `<!-- -->`, which is not for readers, but where it is code; there are as many lines as before."""
    text = "\n".join(lines)
    if "<!--" not in text:
        return lines
    tokens = parser.parse(text)
    code = {i for token in tokens if token.type in ("fence", "code_block") and token.map for i in range(*token.map)}
    # Blocks of code are passed over as empty lines, which no code within a line reaches beyond.
    around = "\n".join("\n" * len(line) if i in code else line for i, line in enumerate(lines))
    parts: list[str] = []
    kept = place = 0
    while found := COMMENT_OR_CODE.search(around, place):
        place = found.end()
        if ticks := found["ticks"]:
            closing = re.compile(rf"(?<!`){ticks}(?!`)|\n[ \t>]*\n").search(around, place)
            place = closing.end() if closing and closing.group() == ticks else place
        elif found.group() == "<!--":
            end = text.find("-->", place - len("--"))
            if end < 0:
                break
            place = end + len("-->")
            parts += [text[kept : found.start()], "\n" * text.count("\n", found.start(), place)]
            kept = place
    return "".join([*parts, text[kept:]]).split("\n")


def _blank_front_matter(lines: list[str]) -> None:
    """Blank the YAML between two `---` at the start; line numbers stay true."""
    if lines[0].strip() != "---":
        return
    for end in range(1, len(lines)):
        if lines[end].strip() in ("---", "..."):
            lines[: end + 1] = [""] * (end + 1)
            return


def _count(text: str) -> int:
    return max(len(WORD.findall(text)), len(text) // LETTERS)
