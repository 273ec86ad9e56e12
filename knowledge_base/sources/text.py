"""Text in the encoding that it was saved in: UTF-8 first, an older one only where the bytes speak for it."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path

from knowledge_base.sources.document import FENCE, Document, UnreadableError, literal

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
FOREIGN = (b"%PDF-", b"PK\x03\x04", b"{\\rtf", b"\x1f\x8b", b"\xd0\xcf\x11\xe0")
SAMPLE = 64 * 1024  # bytes of lines that are not ASCII; more make the judgement slower and no better
ENOUGH = 32  # bytes: below this charset-normalizer itself calls its judgement unsure
# What spreadsheets and shop systems write besides Unicode. A short list keeps short files from being read as a rare
# encoding in which they happen to make sense.
LEGACY = (
    "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr",
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256",
)  # fmt: skip


def decode(data: bytes) -> tuple[str, str]:
    """Return the text of `data` and the name of its encoding.

    Raises:
        UnreadableError: no encoding fits; `place` names the line of the first byte that is not UTF-8.
    """
    if data.startswith(UTF16_MARKS):
        return _strict(data, "utf-16"), "utf-16"
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError as error:
        encoding = legacy_encoding(data.splitlines())
        if encoding is None:
            line = data.count(b"\n", 0, error.start) + 1
            reason = f"expected UTF-8, got byte 0x{data[error.start]:02x}. Save the file as UTF-8."
            raise UnreadableError(reason, f"line {line}") from None
        return _strict(data, encoding), encoding


def encoding_of(path: Path) -> str | None:
    """Return the older encoding of a file that is not UTF-8, or None; the file is never held whole."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(1 << 20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            file.seek(0)
            return legacy_encoding(iter(lambda: file.readline(1 << 16), b""))
    return None


def check_not_foreign(data: bytes) -> None:
    """Check that what is named as text does not begin as a PDF, an office file or an archive.

    Raises:
        UnreadableError: it does.
    """
    if data.startswith(FOREIGN):
        raise UnreadableError("expected text, got another kind of file under this name. Give it its own ending.")


def markdown(data: bytes) -> Document:
    """Read Markdown."""
    check_not_foreign(data)
    if data.startswith(UTF16_MARKS):
        raise UnreadableError("expected UTF-8, got UTF-16. Save the file as UTF-8.")
    text = decode(data)[0]
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UnreadableError("expected text, got a NUL character. Is it another kind of file?", f"line {line}")
    return Document(title="", markdown=text)


def plain(data: bytes) -> Document:
    """Read plain text; blank lines part paragraphs, and lines that begin with `#` are headings."""
    return Document(title="", markdown=literal(markdown(data).markdown, FENCE))


def legacy_encoding(lines: Iterable[bytes]) -> str | None:
    """Judge by the lines beyond ASCII which older encoding a file has; None where that would be a guess.

    A file with more lines in UTF-8 than out of it is UTF-8 with damage: read as anything else it would be
    wrong in every line.
    """
    good = bad = 0
    sample = bytearray()
    for line in _beyond_ascii(lines):
        try:
            line.decode()
            good += 1
        except UnicodeDecodeError:
            bad += 1
        sample += line.rstrip(b"\r\n") + b"\n"
        if len(sample) > SAMPLE:
            break
    if good >= bad or len(sample) < ENOUGH or b"\0" in sample:
        return None
    return likeliest(bytes(sample))


def likeliest(data: bytes) -> str | None:
    """Return the older encoding in which bytes make most sense, or None where they make none in any."""
    from charset_normalizer import from_bytes

    matches = from_bytes(data, cp_isolation=list(LEGACY))
    best = matches.best()
    if best is None:
        return None
    # The single-byte encodings differ in few letters: of equally plausible ones the commonest is meant.
    equal = [match.encoding for match in matches if match.chaos <= best.chaos]
    return "cp1252" if best.encoding == "cp1250" and "cp1252" in equal else best.encoding


def _beyond_ascii(lines: Iterable[bytes]) -> Iterator[bytes]:
    return (line for line in lines if not line.isascii())


def _strict(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = f"expected text in {encoding}, got other bytes. Save the file as UTF-8."
        raise UnreadableError(reason, f"line {line}") from None
