"""The first bytes of binary file types that are not read, and the message for the user who uploaded such a file."""

from __future__ import annotations

PICTURE = "A picture has no text to search. Run OCR first and drop the text, or a searchable PDF."
ARCHIVE = "An archive is not read. Unpack it and drop the files."
MEDIA = "Sound and video are not read. Drop a transcript."
BINARY = "The content is neither text nor a type that is read."

SIGNATURES = (  # offset of the signature, signature, message
    (0, b"\x89PNG\r\n", PICTURE),
    (0, b"\xff\xd8\xff", PICTURE),
    (0, b"GIF8", PICTURE),
    (0, b"II*\0", PICTURE),
    (0, b"MM\0*", PICTURE),
    (8, b"WEBP", PICTURE),
    (4, b"ftyphei", PICTURE),
    (4, b"ftypmif1", PICTURE),
    (4, b"ftypavif", PICTURE),
    (0, b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (0, b"Rar!\x1a\x07", ARCHIVE),
    (0, b"\x1f\x8b", ARCHIVE),
    (0, b"\xfd7zXZ\0", ARCHIVE),
    (0, b"\x28\xb5\x2f\xfd", ARCHIVE),
    (0, b"BZh", ARCHIVE),
    (257, b"ustar", ARCHIVE),
    (4, b"ftyp", MEDIA),
    (0, b"ID3", MEDIA),
    (0, b"OggS", MEDIA),
    (0, b"fLaC", MEDIA),
    (8, b"WAVE", MEDIA),
    (8, b"AVI ", MEDIA),
    (0, b"\x1a\x45\xdf\xa3", MEDIA),
    (0, b"SQLite format 3\0", "A database is not read. Export its tables as CSV."),
    (0, b"\x7fELF", "A program is not read."),
    (0, b"MZ\x90\0", "A program is not read."),
)
