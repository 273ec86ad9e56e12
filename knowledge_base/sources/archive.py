"""The ZIP archives that DOCX and XLSX are, checked before anything in them is parsed."""

from __future__ import annotations

import zipfile
from io import BytesIO

from knowledge_base.sources import limits
from knowledge_base.sources.document import UnreadableError, damage_of

OLD_OFFICE = b"\xd0\xcf\x11\xe0"
XML = (".xml", ".rels", ".vml")


def check(data: bytes, what: str, needed: str, bounds: limits.Bounds | None = None) -> None:
    """Check that `data` is a sound archive with the member `needed`, by reading every XML member whole.

    Args:
        data: the file.
        what: its kind, for people.
        needed: the member that makes it one.
        bounds: how much it may hold.

    Raises:
        UnreadableError: it is damaged, too large, or not such an archive.
    """
    if data.startswith(OLD_OFFICE):
        raise UnreadableError(f"expected {what}, got an older or protected file. Save it as {what} without a password.")
    with damage_of(what), zipfile.ZipFile(BytesIO(data)) as archive:
        members = archive.infolist()
        _check_sizes(members, bounds or limits.Bounds())
        for member in members:
            _check_name(member)
        if needed not in archive.namelist():
            raise UnreadableError(f"expected {what}, got an archive without {needed}.")
        for member in members:
            if member.filename.lower().endswith(XML):
                with damage_of(what, member.filename):
                    _check_xml(archive.read(member), member.filename)


def _check_sizes(members: list[zipfile.ZipInfo], bounds: limits.Bounds) -> None:
    # zipfile never unpacks more of a member than it declares, so that what is declared is what can come.
    if len(members) > bounds.members:
        raise UnreadableError(f"expected at most {bounds.members:,} members, got {len(members):,}.")
    unpacked = sum(member.file_size for member in members)
    if unpacked > bounds.unpacked_bytes:
        most = bounds.unpacked_bytes // limits.MB
        raise UnreadableError(f"expected at most {most} MB unpacked, got {unpacked // limits.MB:,} MB.")
    _check_ratio(unpacked, sum(member.compress_size for member in members))
    for member in members:
        _check_ratio(member.file_size, member.compress_size, member.filename)


def _check_ratio(unpacked: int, packed: int, place: str = "") -> None:
    if unpacked > limits.ARCHIVE_FREE and unpacked > limits.ARCHIVE_RATIO * packed:
        ratio = unpacked // max(packed, 1)
        raise UnreadableError(f"expected data packed at most {limits.ARCHIVE_RATIO} to 1, got {ratio:,} to 1.", place)


def _check_name(member: zipfile.ZipInfo) -> None:
    name = member.orig_filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":" or "\0" in name:
        raise UnreadableError(f"expected members inside the archive, got the name {name[:80]!r}.", name[:80])
    if member.flag_bits & 1:
        raise UnreadableError("expected a file without a password, got an encrypted member.", name)


def _check_xml(data: bytes, name: str) -> None:
    # Office writes no document type; one is there to define entities, which are expanded or fetched. Encodings that
    # would hide the word from this look are not those of office files either.
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise UnreadableError("expected XML in UTF-8, got another encoding or NUL bytes.", name)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise UnreadableError("expected XML without a document type, got one with it.", name)
