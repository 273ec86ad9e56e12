"""What somebody wrote in a mail, without its mark-up, what is quoted in it, its signature and its formulas."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from finetune.importers.draft import readable

# Only what HTML knows is a tag: "<order number>" in a chat is text.
_TAG = re.compile(
    r"</?(?:html|body|head|p|div|br|hr|span|a|b|i|u|s|em|strong|small|font|center|ul|ol|li|table|tbody|thead|tr|td|th"
    r"|blockquote|h[1-6]|img|pre|code|section|article|style|script|meta|title)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_BLOCKS = frozenset(
    ("p", "div", "br", "ul", "ol", "li", "table", "tr", "hr", "pre", "section", "article", "header", "footer")
) | {f"h{n}" for n in range(1, 7)}
_PARAGRAPHS = frozenset(("p", "ul", "ol", "table", "pre", "h1", "h2", "h3", "h4", "h5", "h6"))
_UNSEEN = frozenset(("script", "style", "head", "title", "template", "blockquote", "noscript", "svg"))
_VOID = frozenset(("br", "hr", "img", "input", "meta", "link", "wbr", "col", "area", "base", "embed", "source"))
# How mail programs mark what is quoted or signed; the words stand in a class or an id.
_QUOTE_OR_SIGNATURE = re.compile(
    r"gmail_(?:quote|signature|attr)|yahoo_quoted|moz-(?:cite-prefix|signature)|freshdesk_quote|protonmail_quote"
    r"|protonmail_signature|zmail_extra|(?:^|[\s_-])signature(?:$|[\s_-])|ms-outlook-mobile-signature"
)
_REST_IS_QUOTED = re.compile(r"divRplyFwdMsg|appendonsend|OLK_SRC_BODY_SECTION|reply-intro")

_HEADERS = (
    r"on\b.{4,200}\bwrote",
    r"am\b.{4,200}\bschrieb.{0,120}",
    r"le\b.{4,200}\ba écrit",
    r"el\b.{4,200}\bescribió",
    r"il\b.{4,200}\bha scritto",
    r"op\b.{4,200}\bschreef.{0,120}",
    r"em\b.{4,200}\bescreveu",
    r"在.{4,200}写道",
)
_WROTE = re.compile(rf"(?:{'|'.join(_HEADERS)})\s?[:：]", re.IGNORECASE)
_ADDRESS_OR_TIME = re.compile(r"\S@\S|\d(?:[:：h]\d{2}\b|\s?[ap]\.?m\b|[点时])", re.IGNORECASE)
_RULE = re.compile(
    r"-{2,}\s?(?:original message|original-nachricht|ursprüngliche nachricht|message d'origine|mensaje original"
    r"|messaggio originale|oorspronkelijk bericht|mensagem original|forwarded message|原始邮件)\s?-{2,}"
    r"|begin forwarded message:|#{2,}\s?-?.{0,80}(?:above this line|über dieser zeile).{0,20}",
    re.IGNORECASE,
)
_FROM = re.compile(r"\*?(?:from|von|de|da|van|发件人)\s?[:：]\*? ?\S", re.IGNORECASE)
_SENT = re.compile(
    r"\*?(?:sent|date|gesendet|datum|envoyé|enviado(?: el)?|inviato|data|verzonden|发送时间|日期|to|an)\s?[:：]",
    re.IGNORECASE,
)
_OF_MAIL = re.compile(
    r".*\S@\S|\*?(?:subject|re|sent|gesendet|envoyé|enviado(?: el)?|inviato|verzonden|发送时间|betreff|objet|asunto|oggetto|onderwerp|assunto|主题)\s?[:：]|.*\d{1,2}[:：]\d{2}\b",
    re.IGNORECASE,
)
_FOOTER = re.compile(
    r"(?:sent (?:from|via|with) (?:my|your|the|yahoo|mail|outlook|proton|gmail|samsung|galaxy|android|blackberry)\b.{0,60}"
    r"|get outlook for .{1,20}|von meinem .{1,30}gesendet|gesendet (?:von|mit) .{1,40}|envoyé (?:de|depuis) .{1,40}"
    r"|enviado (?:desde|do|de) .{1,40}|inviato da .{1,40}|verstuurd vanaf .{1,40}|发自我的.{1,20})\.?",
    re.IGNORECASE,
)
_DISCLAIMER = re.compile(
    r"(?:this (?:e-?mail|message|communication)\b.{0,120}\b(?:confidential|intended (?:solely|only))"
    r"|diese e-?mail (?:enthält|kann) .{0,60}vertraulich|ce message .{0,80}confidentiel)",
    re.IGNORECASE | re.DOTALL,
)
_SALUTATION = re.compile(
    r"(?:hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|greetings|hallo|guten (?:tag|morgen|abend)|liebe[rs]?"
    r"|sehr geehrte[rs]?|bonjour|bonsoir|cher|chère|hola|estimad[oa]s?|buenos días|buenas tardes|ciao|gentile"
    r"|buongiorno|beste|geachte|olá|prezad[oa])\b[,!]?(?P<addressed>(?:[^.,?!:;{}\n]|(?<=[DM]r)\.|(?<=Mrs)\.|\{\{?[^{}\n]{1,60}\}\}?){0,40})[,!.:，！：]?"
    r"|(?:您好|你好|尊敬的[^，,。！!？?：:]{0,12})[,!.:，！：]?",
    re.IGNORECASE,
)
_ADDRESSED_WORDS = """
    there all again everyone everybody team folks guys sir sirs madam or and the support customer customers service
    und et y e à tous toutes equipo dr mr mrs ms miss herr frau
"""
_ADDRESSED = frozenset(_ADDRESSED_WORDS.split())
_MOST_ADDRESSED = 5  # words behind a greeting that may name whom it greets
_CLOSING = re.compile(
    r"(?:(?:with )?(?:kind|best|warm|kindest|warmest)(?: and \w+)? (?:regards|wishes)|regards|(?:yours )?sincerely(?: yours)?"
    r"|yours (?:truly|faithfully)|mit (?:freundlichen|besten) grüßen|(?:freundliche|viele|liebe|beste|schöne) grüße|mfg"
    r"|cordialement|bien à vous|(?:un )?saludos?(?: cordiales)?|atentamente|cordiali saluti|distinti saluti"
    r"|met vriendelijke groeten?|atenciosamente|此致|祝好)[,.!，]?",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"(?:many thanks|thanks(?: again| so much| a lot)?|thank you(?: so much| very much)?|cheers|best|danke|vielen dank"
    r"|merci|gracias|grazie)(?: (?:and|&) (?:best|kind) regards)?[,!.]?",
    re.IGNORECASE,
)
_POSTSCRIPT = re.compile(r"p\.?[\s-]?s\b[.:：,\s–-]", re.IGNORECASE)
_SENTENCE = re.compile(r"(?:\S+\s+){3,}\S*[.!?]|.*[。！？]")
_SIGNED_LINES = 12  # lines that may stand behind a formula: name, team, company, address, telephone
_SIGNED_LENGTH = 90
_NAME_LENGTH = 40
_IN_NAMES_WORDS = "and und et y e & of from at the von van de der den del la le di da zu"
_IN_NAMES = frozenset(_IN_NAMES_WORDS.split())


def words(text: str, *, is_html: bool = False) -> str:
    """Return what the writer of a message said, as plain text.

    Cut are: mark-up, quoted mails and lines, signatures, footers of mail programs, a salutation and a closing
    formula that stand on lines of their own; what is said behind such a formula stays. A message that holds nothing
    else becomes empty, but one that is only a salutation or a formula stays: in a chat "Hello" is a message.

    Args:
        text: the message.
        is_html: whether it is HTML; a text without a tag is read as plain text even then.
    """
    if is_html:
        text = plain_text(text)
    lines = [line.rstrip() for line in readable(text).split("\n")]
    lines = _without_signature(_without_quotes(lines))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_without_formulas(lines))).strip()


def plain_text(markup: str) -> str:
    """Return the text of HTML, a block a line, without what is quoted or signed in it."""
    if not _TAG.search(markup):
        return html.unescape(markup)
    from lxml.etree import HTMLParser, ParserError, XMLSyntaxError

    target = _Text()
    parser = HTMLParser(target=target, huge_tree=True, remove_comments=True)
    try:
        parser.feed(readable(markup))
        parser.close()
    except (ParserError, XMLSyntaxError):
        pass  # what was read up to there counts
    return target.text()


class _Text:
    """Collects the text of HTML as lxml meets it; no tree is built, so no nesting is too deep."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._hidden = 0
        self._rest_is_quoted = False
        self._stack: list[tuple[str, bool]] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        named = f"{attributes.get('class', '')} {attributes.get('id', '')}"
        self._rest_is_quoted = self._rest_is_quoted or bool(_REST_IS_QUOTED.search(named))
        if tag not in _VOID:
            hides = tag in _UNSEEN or bool(_QUOTE_OR_SIGNATURE.search(named))
            self._hidden += hides
            self._stack.append((tag, hides))
        if tag in _BLOCKS:
            self._break(tag)
        if tag == "li":
            self._add("- ")
        if tag in ("td", "th"):
            self._add(" ")

    def end(self, tag: str) -> None:
        if tag in _VOID:
            return
        while self._stack:
            name, hides = self._stack.pop()
            self._hidden -= hides
            if name == tag:
                break
        if tag in _BLOCKS:
            self._break(tag)

    def data(self, data: str) -> None:
        self._add(re.sub(r"\s+", " ", data))

    def comment(self, text: str) -> None: ...

    def pi(self, target: str, data: str | None = None) -> None: ...

    def close(self) -> str:
        return self.text()

    def text(self) -> str:
        lines = [re.sub(r" {2,}", " ", line).strip() for line in "".join(self._parts).split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

    def _add(self, text: str) -> None:
        if not self._hidden and not self._rest_is_quoted:
            self._parts.append(text)

    def _break(self, tag: str) -> None:
        if tag == "br":
            self._add("\n")
            return
        # A block begins on a new line, a paragraph behind an empty one; blocks inside of blocks add nothing.
        end = "".join(self._parts[-4:]).rstrip(" ")
        wanted = "\n\n" if tag in _PARAGRAPHS else "\n"
        missing = len(wanted) - (len(end) - len(end.rstrip("\n")))
        if self._parts and missing > 0:
            self._add("\n" * missing)


def _without_quotes(lines: Sequence[str]) -> list[str]:
    """Cut what is quoted: all behind a header, or only the marked lines where the answer stands below them."""
    kept: list[str] = []
    index = 0
    while index < len(lines):
        length = _header_length(lines, index, said=any(kept))
        if length:
            index = _behind_quote(lines, index + length)
            continue
        if not lines[index].lstrip().startswith(">"):
            kept.append(lines[index])
        index += 1
    return kept


def _header_length(lines: Sequence[str], index: int, *, said: bool) -> int:
    """Return how many lines from `index` on introduce a quoted mail; 0 means that none does.

    `said` tells whether the writer has said something before them.
    """
    line = lines[index].strip().lstrip("> ")
    if not line or len(line) > 400:
        return 0
    if _RULE.fullmatch(line) or _tells_who_wrote(line, lines, index + 1, said=said):
        return 1
    if set(line) == {"_"} and len(line) >= 10 and index + 1 < len(lines) and _FROM.match(lines[index + 1].strip()):
        return 1
    following = lines[index + 1].strip().lstrip("> ") if index + 1 < len(lines) else ""
    if len(following) <= 400 and _tells_who_wrote(f"{line} {following}", lines, index + 2, said=said):
        return 2
    block = [line, *(other.strip() for other in lines[index + 1 : index + 5])]
    is_header = _FROM.match(line) and any(_SENT.match(other) for other in block[1:4])
    # "From: London, To: Rome" is what a customer asks; a mail names addresses, a subject or the time of day.
    return 1 if is_header and any(_OF_MAIL.match(other) for other in block) else 0


def _tells_who_wrote(header: str, lines: Sequence[str], behind: int, *, said: bool) -> bool:
    """Say whether a text such as "On Monday Ann wrote:" stands before a quote, of which the first line is at `behind`.

    Customers write so of what they were told, and go on in the same message.
    """
    if not _WROTE.fullmatch(header):
        return False
    quoted = next((lines[index].strip() for index in range(behind, len(lines)) if lines[index].strip()), ">")
    return quoted.startswith(">") or (said and bool(_ADDRESS_OR_TIME.search(header)))


def _behind_quote(lines: Sequence[str], index: int) -> int:
    start = index
    while start < len(lines) and not lines[start].strip():
        start += 1
    if start == len(lines) or not lines[start].lstrip().startswith(">"):
        return len(lines)
    while start < len(lines) and lines[start].lstrip().startswith(">"):
        start += 1
    return start


def _without_signature(lines: list[str]) -> list[str]:
    said = False
    for index, line in enumerate(lines):
        stripped = line.strip()
        if said and stripped in ("--", "—"):  # "---" is a rule of Markdown
            return lines[:index]
        said = said or bool(stripped)
        if _FOOTER.fullmatch(stripped):
            return lines[:index]
        starts_paragraph = index and not lines[index - 1].strip()
        if starts_paragraph and _DISCLAIMER.match(" ".join(lines[index : index + 4]).strip()):
            return lines[:index]
    return lines


def _without_formulas(lines: list[str]) -> list[str]:
    filled = [index for index, line in enumerate(lines) if line.strip()]
    if len(filled) < 2:
        return lines
    for position in range(max(1, len(filled) - _SIGNED_LINES - 1), len(filled)):
        end = _end_of_signature(lines, filled[position] + 1)
        behind = [lines[index].strip() for index in filled[position + 1 :] if index < end]
        line = lines[filled[position]].strip()
        signed = all(len(other) <= _SIGNED_LENGTH and not other.endswith("?") for other in behind)
        named = 0 < len(behind) <= 3 and all(_is_name(other) for other in behind)
        if (_CLOSING.fullmatch(line) and signed) or (_THANKS.fullmatch(line) and named):
            lines = [*lines[: filled[position]], *lines[end:]]
            filled = [index for index, line in enumerate(lines) if line.strip()]
            break
    if len(filled) > 1 and _is_salutation(lines[filled[0]].strip()):
        return lines[filled[0] + 1 :]
    return lines


def _end_of_signature(lines: Sequence[str], start: int) -> int:
    """Return where the writer speaks on behind a name: in a postscript, or in a sentence behind an empty line."""
    for index in range(start, len(lines)):
        line = lines[index].strip()
        starts_paragraph = not lines[index - 1].strip()
        if _POSTSCRIPT.match(line) or (starts_paragraph and _SENTENCE.fullmatch(line)):
            return index - starts_paragraph
    return len(lines)


def _is_salutation(line: str) -> bool:
    """Say whether a line greets somebody and says nothing else: behind the greeting stand names only."""
    greeting = _SALUTATION.fullmatch(line)
    if not greeting:
        return False
    addressed = re.sub(r"\{\{?[^{}]*\}\}?", "", greeting["addressed"] or "").strip()
    names = re.findall(r"[^\s/&,]+", addressed)
    if len(names) == 1 and line[-1:] in ",!:，！：" and names[0].isalpha():
        return True  # "hi anna,"
    if len(names) > _MOST_ADDRESSED or any(character.isdecimal() for character in addressed):
        return False
    shouted = len(names) > 1 and addressed.isupper()
    return all(name.casefold() in _ADDRESSED or (name[:1].isupper() and not shouted) for name in names)


def _is_name(line: str) -> bool:
    return (
        len(line) <= _NAME_LENGTH
        and not line.endswith((".", "!", "?", ":"))
        and line[:1].isupper()
        and not any(character.isdecimal() for character in line)
        and not any(word[:1].islower() and word not in _IN_NAMES for word in line.split())
    )


def html_or_plain(fields: Mapping[str, Any], html_key: str, *plain_keys: str) -> str:
    """Return the words of a message that stands as HTML, as plain text, or as both.

    HTML goes first: it says what is quoted, and plain forms of it have often lost their line ends.

    Raises:
        RefusedError: a field holds something else than text.
    """
    from finetune.importers.draft import text_of

    markup = text_of(fields, html_key)
    return words(markup, is_html=True) if markup else words(text_of(fields, *plain_keys))
