"""Lays out the monitoring guide as a PDF."""

from datetime import UTC, datetime

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace
from fpdf.outline import OutlineSection
from guide_text import COMPANY, SECTIONS, SUBTITLE, TITLE, VERSION, Block, Heading, Items, Table

BLUE = (22, 62, 104)
PALE = (240, 244, 249)
GREY = (110, 118, 128)
BLACK = (32, 36, 42)


class Guide(FPDF):
    """A4 pages; from the second page on, with a header and page numbers."""

    def __init__(self) -> None:
        super().__init__(format="A4")
        self.set_creation_date(datetime(2026, 1, 15, 9, 0, tzinfo=UTC))
        self.set_title(TITLE)
        self.set_author(COMPANY)
        self.set_margins(22, 26, 22)
        self.set_auto_page_break(True, margin=24)

    def header(self) -> None:
        if self.page_no() > 1:
            self._small()
            self.set_y(12)
            self.cell(self.epw / 2, 6, TITLE)
            self.cell(self.epw / 2, 6, VERSION, align="R")
            self.set_draw_color(*PALE)
            self.line(self.l_margin, 19, self.w - self.r_margin, 19)
            self.set_y(26)

    def footer(self) -> None:
        if self.page_no() > 1:
            self._small()
            self.set_y(-16)
            self.cell(self.epw / 2, 6, COMPANY)
            self.cell(self.epw / 2, 6, f"Page {self.page_no()}", align="R")

    def _small(self) -> None:
        self.set_font("Helvetica", size=8.5)
        self.set_text_color(*GREY)

    def line_of(self, text: str, *, size: float, style: str = "", height: float = 8) -> None:
        self.set_font("Helvetica", style, size)
        self.multi_cell(0, height, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")


def build_guide() -> bytes:
    """The whole guide: cover, table of contents, one or two pages per section."""
    pdf = Guide()
    _cover(pdf)
    pdf.add_page()
    pdf.insert_toc_placeholder(_contents)
    for number, (title, blocks) in enumerate(SECTIONS, start=1):
        if number > 1:
            pdf.add_page()
        pdf.start_section(f"{number} {title}")
        pdf.set_text_color(*BLUE)
        pdf.line_of(f"{number} {title}", size=19, style="B", height=10)
        pdf.ln(3)
        for block in blocks:
            _set_block(pdf, block)
    return bytes(pdf.output())


def _cover(pdf: Guide) -> None:
    pdf.add_page()
    pdf.set_fill_color(*BLUE)
    pdf.rect(0, 0, pdf.w, 118, style="F")
    pdf.set_y(62)
    pdf.set_text_color(255, 255, 255)
    pdf.line_of(TITLE, size=34, style="B", height=16)
    pdf.line_of(SUBTITLE, size=14, height=8)
    pdf.set_y(132)
    pdf.set_text_color(*BLACK)
    pdf.line_of(COMPANY, size=12)
    pdf.line_of(VERSION, size=12)
    pdf.ln(6)
    pdf.set_text_color(*GREY)
    pdf.line_of("Internal. Valid for all production services until the next review in July 2026.", size=10.5, height=6)


def _contents(pdf: FPDF, outline: list[OutlineSection]) -> None:
    assert isinstance(pdf, Guide)
    pdf.set_xy(pdf.l_margin, pdf.t_margin)
    pdf.set_text_color(*BLUE)
    pdf.line_of("Contents", size=19, style="B", height=10)
    pdf.ln(4)
    pdf.set_text_color(*BLACK)
    pdf.set_font("Helvetica", size=11.5)
    for section in outline:
        link = pdf.add_link(page=section.page_number)
        pdf.cell(pdf.epw - 14, 9, section.name, link=link)
        pdf.cell(14, 9, str(section.page_number), align="R", link=link, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _set_block(pdf: Guide, block: Block) -> None:
    pdf.set_text_color(*BLACK)
    match block:
        case str():
            pdf.line_of(block, size=10.5, height=5.6)
            pdf.ln(3)
        case Heading():
            if pdf.will_page_break(60):  # keep a heading on the page of its text
                pdf.add_page()
            pdf.ln(1.5)
            pdf.set_text_color(*BLUE)
            pdf.line_of(block.text, size=13, style="B")
            pdf.ln(1)
        case Items():
            for line in block.lines:
                pdf.set_font("Helvetica", size=10.5)
                pdf.cell(5, 5.6, "-")
                pdf.line_of(line, size=10.5, height=5.6)
                pdf.ln(1)
            pdf.ln(2)
        case Table():
            _set_table(pdf, block)


def _set_table(pdf: Guide, table: Table) -> None:
    pdf.line_of(table.caption, size=9.5, style="B", height=6)
    pdf.set_font("Helvetica", size=9.5)
    pdf.set_draw_color(200, 208, 218)
    pdf.set_fill_color(255, 255, 255)
    with pdf.table(
        col_widths=table.widths,
        headings_style=FontFace(emphasis="BOLD", color=(255, 255, 255), fill_color=BLUE),
        cell_fill_color=PALE,
        cell_fill_mode="ROWS",
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        line_height=6.6,
        padding=(0.4, 2),
        text_align="LEFT",
    ) as grid:
        for row in (table.header, *table.rows):
            line = grid.row()
            for cell in row:
                line.cell(cell)
    pdf.ln(5)
