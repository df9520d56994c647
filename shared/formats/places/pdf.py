"""Places of a PDF: the text of each page, and beside it the values of form fields and the comments on the page.

Where the file goes from column to column with each line, the page's text column after column is beside it, too: a
reader at the service may keep the order of the file, and quotes of both orders are found.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Generator, Iterator
from typing import IO, Any

from shared.formats.pdf import PDFIUM, open_text, read_text
from shared.formats.places.base import Place
from shared.formats.places.columns import Effort
from shared.formats.places.pdf_columns import column_text

PAGES_NAMED_MAX = 30  # in a notice
FILES_NAMED_MAX = 10
VALUE_MAX_BYTES = 1_000_000  # of one field or comment, in UTF-16
HIDDEN = 2  # the flag of annotations that no viewer shows: ISO 32000-1, 12.5.3
PASSWORD = 1 << 13  # the flag of text fields: ISO 32000-1, 12.7.4.3


def pdf_places(content: IO[bytes], lost: list[str]) -> Generator[Place]:
    """The pages. `lost` gets sentences on what cannot be read.

    The consumer closes it: that takes `PDFIUM`, which the thread in which the garbage collector runs may hold.
    """
    import pypdfium2
    import pypdfium2.raw as pdfium

    content.seek(0)
    noise: list[int] = []
    pictures: list[int] = []
    effort = Effort()
    with PDFIUM:
        document = pypdfium2.PdfDocument(content)
        form_type = pdfium.FPDF_GetFormType(document)
        if form_type != pdfium.FORMTYPE_NONE:
            document.init_forms()
        lost += _lost(document, form_type)
    try:
        for number in range(len(document)):
            with PDFIUM:  # released after each page, because other documents wait for it
                text, beside, readable, is_picture = _page(document, number, effort)
            if not readable:
                noise.append(number + 1)
            elif is_picture:
                pictures.append(number + 1)
            yield Place(kind="page", number=number + 1, text=text if readable else "")
            yield from (Place(kind="page", number=number + 1, text=each, beside=True) for each in beside if each)
    finally:
        with PDFIUM:
            document.close()
        if noise:
            lost.append(f"The text of {_pages(noise)} was not read: the fonts do not say which letters they show.")
        if pictures:
            lost.append(f"{_pages(pictures).capitalize()} was not read: only a picture, without text.")


def _pages(numbers: list[int]) -> str:
    more = f" and {len(numbers) - PAGES_NAMED_MAX:,} more" if len(numbers) > PAGES_NAMED_MAX else ""
    return f"page{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:PAGES_NAMED_MAX]))}{more}"


def _page(document: Any, number: int, effort: Effort) -> tuple[str, tuple[str, ...], bool, bool]:
    """Text, texts beside it, whether the text can be read, and whether the page is only a picture."""
    import pypdfium2
    import pypdfium2.raw as pdfium

    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return "", (), True, False
    try:
        with open_text(page) as opened:
            text, is_noise = read_text(opened)
            ordered = "" if is_noise else column_text(opened, text, effort)
        beside = "\n".join(dict.fromkeys(_beside(document, page))) if pdfium.FPDFPage_GetAnnotCount(page) else ""
        return text, (ordered, beside), not is_noise, not text.strip() and _has_picture(page)
    finally:
        page.close()


def _has_picture(page: Any) -> bool:
    import pypdfium2.raw as pdfium

    objects = (pdfium.FPDFPage_GetObject(page, each) for each in range(pdfium.FPDFPage_CountObjects(page)))
    return any(pdfium.FPDFPageObj_GetType(each) == pdfium.FPDF_PAGEOBJ_IMAGE for each in objects)


def _beside(document: Any, page: Any) -> Iterator[str]:
    """A line for each filled-in field and each comment of a page."""
    import pypdfium2.raw as pdfium

    silent = (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP)  # a pop-up repeats the comment that it belongs to
    for number in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            if kind in silent or pdfium.FPDFAnnot_GetFlags(annotation) & HIDDEN:
                continue
            if kind == pdfium.FPDF_ANNOT_WIDGET:
                if document.formenv:
                    yield from _field(document.formenv, annotation)
            elif text := _string(pdfium.FPDFAnnot_GetStringValue, annotation, b"Contents"):
                author = _string(pdfium.FPDFAnnot_GetStringValue, annotation, b"T")
                yield f"- Comment{f' ({author})' if author else ''}: {text}"
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)


def _field(form: Any, annotation: Any) -> Iterator[str]:
    """`Name: value` of a form field; nothing for an empty one, a button or a password."""
    import pypdfium2.raw as pdfium

    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    flags = pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation)
    name = _string(pdfium.FPDFAnnot_GetFormFieldName, form, annotation)
    label = _string(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, annotation) or name or "Field"
    value = ""
    if kind == pdfium.FPDF_FORMFIELD_CHECKBOX:
        value = "yes" if pdfium.FPDFAnnot_IsChecked(form, annotation) else "no"
    elif kind == pdfium.FPDF_FORMFIELD_RADIOBUTTON:
        if pdfium.FPDFAnnot_IsChecked(form, annotation):
            value = _string(pdfium.FPDFAnnot_GetFormFieldExportValue, form, annotation) or "yes"
    elif kind in (pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX):
        value = _chosen(form, annotation) or _string(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)
    elif kind == pdfium.FPDF_FORMFIELD_TEXTFIELD and not flags & PASSWORD:
        value = _string(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)
    if value:
        yield f"- {label}: {value}"


def _chosen(form: Any, annotation: Any) -> str:
    import pypdfium2.raw as pdfium

    options = range(min(pdfium.FPDFAnnot_GetOptionCount(form, annotation), 10_000))
    chosen = [each for each in options if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, each)]
    return ", ".join(_string(pdfium.FPDFAnnot_GetOptionLabel, form, annotation, each) for each in chosen)


def _lost(document: Any, form_type: int) -> Iterator[str]:
    import pypdfium2.raw as pdfium

    if form_type in (pdfium.FORMTYPE_XFA_FULL, pdfium.FORMTYPE_XFA_FOREGROUND):
        yield "Fields of an XFA form, which only Adobe Reader shows, were not read. Print the form to a PDF."
    if count := pdfium.FPDFDoc_GetAttachmentCount(document):
        names = []
        for number in range(min(count, FILES_NAMED_MAX)):
            attached = pdfium.FPDFDoc_GetAttachment(document, number)
            names.append((_string(pdfium.FPDFAttachment_GetName, attached) if attached else "") or "a file")
        more = f" and {count - len(names):,} more" if count > len(names) else ""
        yield f"Files within the PDF were not read: {', '.join(names)}{more}. Drop them as documents of their own."


def _string(read: Callable[..., int], *arguments: Any) -> str:
    """What a function of PDFium writes into a buffer as UTF-16, on one line."""
    size = read(*arguments, None, 0)
    if not 2 < size <= VALUE_MAX_BYTES:
        return ""
    buffer = ctypes.create_string_buffer(size)
    import pypdfium2.raw as pdfium

    read(*arguments, ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)
    return " ".join(buffer.raw.decode("utf-16-le", "replace").replace("\0", "").split())
