"""Files of every kind of document, made from nothing: good ones, and ones with a fault each."""

from __future__ import annotations

import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO

import openpyxl

NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
CONTENT_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)


def archive(members: Iterable[tuple[str, bytes | str]], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return target.getvalue()


def members_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def changed(data: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """Return an archive with members replaced, added, or (None) removed."""
    members = {**members_of(data), **changes}
    return archive((name, content) for name, content in members.items() if content is not None)


def paragraph(text: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def docx(body: str = "", *, before: str = "") -> bytes:
    body = body or (
        paragraph("Care of lamps", "Heading1")
        + paragraph("Switch the lamp off before you clean it.")
        + paragraph("Glass shades", "Heading2")
        + paragraph("Glass shades go into the dishwasher.")
        + "<w:tbl><w:tr><w:tc>"
        + paragraph("Shade")
        + "</w:tc><w:tc>"
        + paragraph("Degrees")
        + "</w:tc></w:tr>"
        "<w:tr><w:tc>" + paragraph("Opal") + "</w:tc><w:tc>" + paragraph("60") + "</w:tc></w:tr></w:tbl>"
    )
    document = f'<?xml version="1.0"?>{before}<w:document xmlns:w="{NAMESPACE}"><w:body>{body}</w:body></w:document>'
    styles = f'<w:styles xmlns:w="{NAMESPACE}">' + "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{n}"><w:name w:val="heading {n}"/></w:style>' for n in (1, 2, 3)
    )
    parts = {
        "[Content_Types].xml": CONTENT_TYPES,
        "_rels/.rels": RELATIONS,
        "word/document.xml": document,
        "word/styles.xml": styles + "</w:styles>",
    }
    return archive(parts.items())


def xlsx(sheets: Mapping[str, Sequence[Sequence[object]]] | None = None) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in (
        sheets or {"FAQ": [("question", "answer"), ("How long?", "Two days."), ("Where?", "Here.")]}
    ).items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    target = BytesIO()
    book.save(target)
    book.close()
    return target.getvalue()


def pdf_objects(objects: Sequence[bytes], trailer: bytes = b"/Root 1 0 R") -> bytes:
    """Return a PDF of the objects 1, 2, ... with a true table of their places."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(out + b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start))


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content)


def pdf(
    pages: Sequence[Sequence[str]] | None = None, outline: Sequence[tuple[str, int]] = (), title: str = ""
) -> bytes:
    """Return a PDF with lines of text on pages and an outline of (title, 0-based page)."""
    pages = pages or [["How to mount the lamp", "Turn the power off first."], ["Warranty", "It lasts five years."]]
    first = 5  # object of the first page; its content follows
    kids = b" ".join(b"%d 0 R" % (first + 2 * i) for i in range(len(pages)))
    outlines = first + 2 * len(pages)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Outlines %d 0 R >>" % outlines,
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Title (%s) >>" % title.encode("latin-1"),
    ]
    for i, lines in enumerate(pages):
        shown = b"".join(
            b"BT /F1 11 Tf 1 0 0 1 60 %d Tm (%s) Tj ET\n"
            % (740 - 16 * n, re.sub(r"([\\()])", r"\\\1", line).encode("latin-1"))
            for n, line in enumerate(lines)
        )
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
            % (first + 2 * i + 1)
        )
        objects.append(stream(shown))
    items = [outlines + 1 + n for n in range(len(outline))]
    ends = b"/First %d 0 R /Last %d 0 R" % (items[0], items[-1]) if items else b""
    objects.append(b"<< /Type /Outlines %s /Count %d >>" % (ends, len(items)))
    for n, (name, page) in enumerate(outline):
        following = b"/Next %d 0 R" % items[n + 1] if n + 1 < len(items) else b""
        before = b"/Prev %d 0 R" % items[n - 1] if n else b""
        objects.append(
            b"<< /Title (%s) /Parent %d 0 R %s %s /Dest [%d 0 R /Fit] >>"
            % (name.encode("latin-1"), outlines, before, following, first + 2 * page)
        )
    return pdf_objects(objects, b"/Root 1 0 R /Info 4 0 R")


PAGE = """<!doctype html><html lang="en-GB"><head><title>Delivery | Lumen</title>
<link rel="canonical" href="https://lumen.example/help/delivery"><script>var hidden = "script";</script></head>
<body><header><a href="/">Lumen</a></header><nav><ul><li>Home</li><li>Shop</li></ul></nav>
<main><h1>Delivery</h1><p>We deliver <b>everywhere</b>. See <a href="/help/returns">returns</a>.</p>
<h2>Costs</h2><table><tr><th>Country</th><th>Euro</th></tr><tr><td>Austria</td><td>4.90</td></tr></table>
<h3><button>Is it insured?</button></h3><p>Yes, up to 500 euro.</p>
<details><summary>Who carries it?</summary>The post.</details></main>
<footer>Imprint</footer></body></html>"""


def html(page: str = PAGE) -> bytes:
    return page.encode()


def zendesk(*articles: Mapping[str, object]) -> bytes:
    one = {
        "id": 7, "title": "Returning a lamp", "body": "<p>Within 30 days.</p><h2>Costs</h2><p>None.</p>", "draft": False,
        "html_url": "https://lumen.example/hc/en-us/articles/7", "locale": "en-us", "updated_at": "2026-03-01T10:00:00Z",
    }  # fmt: skip
    return json.dumps({"count": 1, "next_page": None, "articles": [{**one, **a} for a in articles or ({},)]}).encode()


def intercom(*articles: Mapping[str, object]) -> bytes:
    one = {
        "id": "31", "type": "article", "title": "Paying", "body": "<p>By card or invoice.</p>", "state": "published",
        "url": "https://help.lumen.example/en/articles/31", "default_locale": "en", "updated_at": 1772359200,
    }  # fmt: skip
    return json.dumps({"type": "article.list", "data": [{**one, **a} for a in articles or ({},)]}).encode()


FAQ_CSV = b"question,answer\nHow long?,Two days.\nWhere?,Here.\n"
FAQ_JSONL = b'{"question": "How long?", "answer": "Two days."}\n{"question": "Where?", "answer": "Here."}\n'
TEXT = "Opening hours\n\nWe are open from nine to six.\n"
CHINESE = "# 退货\n\n商品签收后七天内可以无理由退货，请保持包装完好，并联系客服。退款将在三个工作日内退回原账户。\n"


def good_files() -> dict[str, bytes]:
    """A small good file of every kind, by name."""
    return {
        "lamp.pdf": pdf(),
        "care.docx": docx(),
        "faq.xlsx": xlsx(),
        "page.html": html(),
        "zendesk.json": zendesk(),
        "intercom.json": intercom(),
        "hours.txt": TEXT.encode(),
        "guide.md": b"# Guide\n\n## Bulbs\n\nBulbs last ten years.\n",
        "returns.txt": CHINESE.encode("gb18030"),
        "table.csv": FAQ_CSV,
        "rows.jsonl": FAQ_JSONL,
    }


def _bomb(what: bytes, name: str, size: int) -> bytes:
    return changed(what, {name: b"<a>" + b" " * size + b"</a>"})


def _encrypted_flag(data: bytes) -> bytes:
    """Mark every member as encrypted, in both of the archive's lists."""
    out = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = out.find(mark)
        while place >= 0:
            out[place + offset] |= 1
            place = out.find(mark, place + 4)
    return bytes(out)


def _declared(data: bytes, name: bytes, size: int) -> bytes:
    """Declare another size for a member than it has, in the central list."""
    out = bytearray(data)
    place = out.find(b"PK\x01\x02")
    while place >= 0:
        length = struct.unpack_from("<H", out, place + 28)[0]
        if out[place + 46 : place + 46 + length] == name:
            struct.pack_into("<I", out, place + 24, size)
        place = out.find(b"PK\x01\x02", place + 4)
    return bytes(out)


def _protected_pdf() -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(BytesIO(pdf())))
    writer.encrypt("secret", algorithm="RC4-128")
    target = BytesIO()
    writer.write(target)
    return target.getvalue()


def _page_with(content: bytes, entries: bytes = b"") -> bytes:
    return pdf_objects(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
            stream(content, entries),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        ]
    )


LAUGHS = '<!DOCTYPE a [<!ENTITY l0 "ha">' + "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10)
) + "]>"  # fmt: skip
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


# What takes all the time that a file may have belongs into a campaign rather than a test of many files.
SLOW = ("slow-lists.html", "far-row.xlsx")


def bad_pdfs() -> dict[str, tuple[bytes, str]]:
    catalog = b"<< /Type /Catalog /Pages 2 0 R >>"
    shown = b"BT /F1 12 Tf (x) Tj ET"
    return {
        "empty.pdf": (b"", "does not begin as one"),
        "words.pdf": (b"This is no PDF.", "does not begin as one"),
        "head.pdf": (b"%PDF-1.7\n", "cannot be read"),
        "cut.pdf": (pdf()[:300], ""),
        "nul.pdf": (b"\0" * 5000, "does not begin as one"),
        "noise.pdf": (b"%PDF-1.7\n" + random.Random(1).randbytes(20_000), ""),
        "no-root.pdf": (pdf_objects([catalog], b"/Root 9 0 R"), ""),
        "no-pages.pdf": (pdf_objects([b"<< /Type /Catalog >>"]), ""),
        "cyclic-pages.pdf": (
            pdf_objects([catalog, b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"]), "",
        ),
        "two-cycles.pdf": (
            pdf_objects(
                [catalog, b"<< /Type /Pages /Kids [3 0 R 3 0 R] /Count 4 >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 4 >>"]
            ), "",
        ),
        "cyclic-reference.pdf": (pdf_objects([catalog, b"3 0 R", b"2 0 R"]), ""),
        "cyclic-length.pdf": (
            pdf_objects([catalog, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>",
                         b"<< /Length 4 0 R >>\nstream\nBT (x) Tj ET\nendstream"]), "",
        ),
        "no-text.pdf": (_page_with(b"0 0 9 9 re f"), "pages without any"),
        "protected.pdf": (_protected_pdf(), "password"),
        "many-pages.pdf": (pdf([["x"]] * 501), "at most 500 pages"),
        "flate-bomb.pdf": (_page_with(zlib.compress(b" " * 100_000_000, 1), b"/Filter /FlateDecode"), ""),
        "nested-arrays.pdf": (pdf_objects([catalog, b"[" * 60_000 + b"]" * 60_000]), ""),
        "nested-dictionaries.pdf": (pdf_objects([catalog, b"<< /a " * 40_000 + b">>" * 40_000]), ""),
        "bad-filter.pdf": (_page_with(shown, b"/Filter /NoSuchFilter"), ""),
        "bad-flate.pdf": (_page_with(b"\x00\x01garbage", b"/Filter /FlateDecode"), ""),
        "filters.pdf": (_page_with(b"zz>", b"/Filter [" + b"/ASCIIHexDecode " * 3000 + b"]"), ""),
        "long-text.pdf": (_page_with(b"BT /F1 9 Tf " + b"(" + b"word " * 1_100_000 + b") Tj ET"), ""),
        "endless-number.pdf": (_page_with(b"BT /F1 " + b"9" * 500_000 + b" Tf (x) Tj ET"), ""),
    }  # fmt: skip


def bad_archives() -> dict[str, tuple[bytes, str]]:
    word, sheet = docx(), xlsx()
    document, table = "word/document.xml", "xl/worksheets/sheet1.xml"
    nested = docx("<w:tbl><w:tr><w:tc>" * 600 + paragraph("x") + "</w:tc></w:tr></w:tbl>" * 600)
    return {
        "empty.docx": (b"", "cannot be read"),
        "words.docx": (b"This is no Word file.", "cannot be read"),
        "cut.docx": (word[: len(word) // 2], "cannot be read"),
        "cut-end.docx": (word[:-10], "cannot be read"),
        "other.docx": (archive([("readme.txt", "hello")]), "without word/document.xml"),
        "sheet.docx": (sheet, "without word/document.xml"),
        "old.docx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 4000, "password"),
        "bomb.docx": (_bomb(word, document, 5_000_000), "to 1"),
        "bomb-beside.docx": (_bomb(word, "word/media/x.xml", 5_000_000), "to 1"),
        "huge.docx": (_declared(word, document.encode(), 250_000_000), "200 MB"),
        "many.docx": (changed(word, {f"word/x{n}.xml": b"<a/>" for n in range(1001)}), "1,000 members"),
        "parent.docx": (changed(word, {"../../etc/passwd": b"x"}), "'../../etc/passwd'"),
        "root.docx": (changed(word, {"/etc/passwd": b"x"}), "'/etc/passwd'"),
        "drive.docx": (changed(word, {"C:\\x.xml": b"<a/>"}), "inside the archive"),
        "backslash.docx": (changed(word, {"..\\..\\x.xml": b"<a/>"}), "inside the archive"),
        "laughs.docx": (docx(before=LAUGHS), "document type"),
        "outside.docx": (docx(before=OUTSIDE), "document type"),
        "utf16.docx": (changed(word, {document: "<a/>".encode("utf-16")}), "another encoding"),
        "no-xml.docx": (changed(word, {document: b"no XML"}), "cannot be read"),
        "half-xml.docx": (changed(word, {document: members_of(word)[document][:200]}), "cannot be read"),
        "empty-xml.docx": (changed(word, {document: b""}), "cannot be read"),
        "no-relations.docx": (changed(word, {"_rels/.rels": b"<a/>", document: b"<a/>"}), ""),
        "no-text.docx": (docx("<w:p/>"), "without any"),
        "deep.docx": (nested, ""),
        "encrypted.docx": (_encrypted_flag(word), "encrypted"),
        "declared.docx": (_declared(word, document.encode(), 50), "cannot be read"),
        "understated.docx": (_declared(_bomb(word, document, 5_000_000), document.encode(), 900_000), ""),
        "checksum.docx": (word.replace(b"PK\x03\x04", b"PK\x03\x05", 1), ""),
        "empty.xlsx": (b"", "cannot be read"),
        "cut.xlsx": (sheet[: len(sheet) // 2], "cannot be read"),
        "word.xlsx": (word, "without xl/workbook.xml"),
        "bomb.xlsx": (_bomb(sheet, table, 5_000_000), "to 1"),
        "huge.xlsx": (_declared(sheet, table.encode(), 250_000_000), "200 MB"),
        "laughs.xlsx": (changed(sheet, {table: (LAUGHS + "<a>&l9;</a>").encode()}), "document type"),
        "outside.xlsx": (changed(sheet, {"xl/sharedStrings.xml": (OUTSIDE + "<a>&x;</a>").encode()}), "document type"),
        "parent.xlsx": (changed(sheet, {"../x.xml": b"<a/>"}), "inside the archive"),
        "half-xml.xlsx": (changed(sheet, {table: members_of(sheet)[table][:150]}), "cannot be read"),
        "no-sheet.xlsx": (changed(sheet, {table: None}), "empty workbook"),
        "far-row.xlsx": (changed(sheet, {table: members_of(sheet)[table].replace(b'<row r="2"', b'<row r="9999999999"')}), "1,048,576 rows"),
        "no-workbook.xlsx": (changed(sheet, {"xl/workbook.xml": b"<a/>"}), ""),
        "no-columns.xlsx": (xlsx({"S": [("frage", "antwort"), ("a", "b")]}), "expected columns question, answer"),
        "no-rows.xlsx": (xlsx({"S": []}), "empty workbook"),
        "answerless.xlsx": (xlsx({"S": [("question", "answer"), ("Why?", None)]}), "expected an answer"),
        "long-cell.xlsx": (xlsx({"S": [("question", "answer"), ("Why?", "x" * 30_000)]}), "20,000 characters"),
    }  # fmt: skip


def bad_texts() -> dict[str, tuple[bytes, str]]:
    return {
        "empty.html": (b"", "without any"),
        "script.html": (b"<script>document.write('x')</script>", "without any"),
        "nav.html": (b"<nav>Home</nav><footer>x</footer>", "without any"),
        "nul.html": (b"<p>a\0b</p>", "NUL"),
        "deep.html": (b"<div>" * 5000 + b"x", "at most 200"),
        "deeper.html": (b"<b>" * 300_000 + b"x", "at most 200"),
        "deep-lists.html": (b"<ul><li>" * 1_000 + b"x", "at most 200"),
        "slow-lists.html": (b"<ul><li>" * 100_000 + b"x", ""),
        "large.html": (b"<p>x</p>" * 2_600_000, "at most 20 MB"),
        "long.html": (b"<p>" + b"word " * 1_100_000, "5,000,000 characters"),
        "no-encoding.html": (b"<p>\xff\xfe\xfa\x81\x8d" + bytes(range(128, 256)), ""),
        "nul.txt": (b"some\0text", "NUL"),
        "binary.txt": (random.Random(2).randbytes(3000), ""),
        "utf16.txt": ("text".encode("utf-16"), "UTF-16"),
        "large.txt": (b"word \n" * 3_500_000, "at most 20 MB"),
        "long.txt": (b"word \n" * 900_000, "5,000,000 characters"),
        "one-byte.md": (b"# Caf\xe9\n\nx\n", "0xe9"),
        "nul.md": (b"# A\n\na\0b\n", "NUL"),
        "large.md": (b"- x\n\n" * 4_100_000, "at most 20 MB"),
        "empty.json": (b"", "expected JSON"),
        "cut.json": (zendesk()[:-20], "expected JSON"),
        "deep.json": (b"[" * 200_000, ""),
        "other.json": (b'{"name": "x", "version": 1}', "Zendesk Guide or Intercom"),
        "list.json": (b"[1, 2]", "Zendesk Guide or Intercom"),
        "latin.json": (b'{"articles": [{"title": "Caf\xe9"}]}', "UTF-8"),
        "number.json": (b'{"articles": ' + b"9" * 9000 + b"}", ""),
        "no-title.json": (zendesk({"title": ""}), "expected a title"),
        "no-body.json": (zendesk({"body": None}), "expected a body"),
        "no-id.json": (intercom({"id": None}), "expected an id"),
        "number-body.json": (zendesk({"body": 5}), "body: expected text"),
        "nul-body.json": (zendesk({"body": "a\0b"}), "NUL"),
        "half-pair.json": (b'{"articles": [{"id": 1, "title": "\\ud800", "body": "x"}]}', "half of a character pair"),
        "deep-body.json": (zendesk({"body": "<div>" * 900 + "x"}), "at most 200"),
        "no-object.json": (b'{"articles": [5]}', "expected an object"),
        "twice.json": (zendesk({}, {}), "every article once"),
        "empty.csv": (b"", "empty file"),
        "nul.csv": (b"question,answer\nA?,a\0b\n", "NUL"),
        "quote.csv": (b'question,answer\nA?,"a\n', "Check the quotes"),
        "utf16.csv": ("question,answer\nA?,a\n".encode("utf-16"), "UTF-16"),
        "long.csv": (b"question,answer\nA?," + b"a" * 25_000 + b"\n", "20,000 characters"),
        "endless.csv": (b'question,answer\nA?,"' + b"a" * 300_000 + b'"\n', "131,072 characters"),
        "no-columns.csv": (b"frage;antwort\na;b\n", "expected columns"),
        "broken.jsonl": (b'{"question": \n', "no JSON"),
        "nul.jsonl": (b'{"question": "A?", "answer": "a\0"}\n', "NUL"),
        "deep.jsonl": (b"[" * 100_000 + b"\n", "too deep"),
        "cut.jsonl.gz": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03abc", "cannot be read"),
    }  # fmt: skip


def misnamed() -> dict[str, tuple[bytes, str]]:
    """Good files under the name of another kind."""
    good = {"pdf": pdf(), "docx": docx(), "xlsx": xlsx(), "html": html(), "json": zendesk(), "txt": TEXT.encode()}
    reasons = {
        "pdf": "does not begin as one", "docx": "expected DOCX", "xlsx": "expected XLSX", "html": "another kind of file",
        "json": "expected JSON", "txt": "another kind of file", "md": "another kind of file",
    }  # fmt: skip
    words = ("html", "json", "txt")
    return {
        f"{kind}-as.{other}": (data, reason)
        for kind, data in good.items()
        for other, reason in reasons.items()
        if other != kind and not (kind in words and other in ("html", "txt", "md"))
    }


def bad_members() -> dict[str, tuple[bytes, str]]:
    """Sound archives with one damaged member."""
    damages: dict[str, Callable[[bytes], bytes]] = {
        "quarter": lambda data: data[: len(data) // 4],
        "most": lambda data: data[: -len(data) // 10],
        "nul": lambda data: data[:60] + b"\0" + data[60:],
        "entity": lambda data: data[:-10] + b"&nope;" + data[-10:],
        "tag": lambda data: data.replace(b"</", b"<", 1),
        "doctype": lambda data: b"<!DOCTYPE a>" + data,
    }
    wholes = {
        "docx": (docx(), "word/document.xml"),
        "xlsx": (xlsx(), "xl/worksheets/sheet1.xml"),
        "book.xlsx": (xlsx(), "xl/workbook.xml"),
    }
    return {
        f"{damage}-{kind}" if "." in kind else f"{damage}-member.{kind}": (
            changed(whole, {member: change(members_of(whole)[member])}), "",
        )
        for kind, (whole, member) in wholes.items()
        for damage, change in damages.items()
    }  # fmt: skip


def bad_files() -> dict[str, tuple[bytes, str]]:
    """Files with one fault each, by name, with words of the reason that must be given ("" where it may be any)."""
    return {**bad_pdfs(), **bad_archives(), **bad_members(), **bad_texts(), **misnamed()}


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _flipped(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 3, 10, 100))):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def _overwritten(data: bytes, chance: random.Random) -> bytes:
    at, length = chance.randrange(len(data)), chance.choice((1, 8, 64, 512))
    return data[:at] + chance.choice((b"\0" * length, b"\xff" * length, chance.randbytes(length))) + data[at + length :]


def _repeated(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    piece = data[at : at + chance.choice((3, 17, 200))]
    return data[:at] + piece * chance.choice((2, 50, 2000)) + data[at:]


def _shuffled(data: bytes, chance: random.Random) -> bytes:
    parts = [data[i : i + 64] for i in range(0, len(data), 64)]
    a, b = chance.randrange(len(parts)), chance.randrange(len(parts))
    parts[a], parts[b] = parts[b], parts[a]
    return b"".join(parts)


def _nested(data: bytes, chance: random.Random) -> bytes:
    opening = chance.choice((b"<div>", b"[", b"<<", b"(", b"> ", b"- ", b"{", b"<w:p>", b"**"))
    at = chance.randrange(len(data))
    return data[:at] + opening * chance.choice((50, 5_000)) + data[at:]


def _inside(change: Callable[[bytes, random.Random], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """Change what is in a member of an archive and pack it anew, so that the fault lies behind the first check."""

    def changed_inside(data: bytes, chance: random.Random) -> bytes:
        if not data.startswith(b"PK"):
            return change(data, chance)
        members = members_of(data)
        name = chance.choice(sorted(name for name, content in members.items() if content))
        return archive({**members, name: change(members[name], chance)}.items())

    return changed_inside


CHANGES = (_cut, _flipped, _overwritten, _repeated, _shuffled, _nested)


def generated(number: int, seed: int) -> Iterable[tuple[str, bytes]]:
    """Yield (name, data) of files that were good before a seeded accident; some of them still are."""
    good = good_files()
    for i in range(number):
        chance = random.Random(f"{seed}-{i}")
        name = sorted(good)[i % len(good)]
        change = chance.choice(CHANGES)
        data = (_inside(change) if chance.random() < 0.6 else change)(good[name], chance)
        yield f"{i:05d}-{change.__name__.strip('_')}-{name}", data
