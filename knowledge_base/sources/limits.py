"""What a file may cost before it is refused. These are limits of safety, not of quality: none is fitted or set by users.

They follow what OWASP's cheat sheets on file upload and on XML name as dangers (size, archives that unpack to much,
paths that leave the archive, nesting) with room above what help centres and handbooks hold: a scan of 500 pages has
about 10 MB, a novel 1 million characters, a workbook some dozen members.
"""

from __future__ import annotations

from dataclasses import dataclass

MB = 1_000_000

FILE_BYTES = 20 * MB  # of a document
ROWS_BYTES = 200 * MB  # of CSV and JSON Lines, unpacked, which are read line by line and never held whole
ARCHIVE_MEMBERS = 1_000  # of a DOCX or XLSX, which are ZIP archives
ARCHIVE_BYTES = 200 * MB  # of an archive, unpacked
ARCHIVE_RATIO = 100  # unpacked to packed; deflate reaches 1,032, and the XML of real files stays below 30
ARCHIVE_FREE = MB  # a member this small may be packed as tightly as it likes
PAGES = 500  # of a PDF
CHARACTERS = 5 * MB  # of the text of one document or workbook
HTML_DEPTH = 200  # elements within elements
ENTRY_CHARACTERS = 20_000  # of one entry, about twenty times what the encoder reads
ROWS = 1_048_576  # of a sheet, by the format; a damaged one can number a row far beyond
COLUMNS = 256  # of a sheet; beyond them nothing is looked at
INLINE_BYTES = 64 * 1024  # of Markdown or text, below which a child process would cost more than it guards


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an archive may hold, and a workbook of text; conversations are longer than answers."""

    members: int = ARCHIVE_MEMBERS
    unpacked_bytes: int = ARCHIVE_BYTES
    characters: int = CHARACTERS


@dataclass(frozen=True, slots=True)
class Guard:
    """What the child process may use for one file; it is given each file anew."""

    seconds: float = 30.0  # of wall time, and as much of processor time, behind the loading of the libraries
    memory_bytes: int = 1_000 * MB  # above what it needs when it stands ready
    starting_seconds: float = 120.0  # to start and to load the libraries of a kind, on a busy machine
