"""The encoding of a text table, from its bytes: a BOM, valid UTF-8, or the candidate that gives the most likely words.

Tables hold few words, too few for statistics of a language. What counts is whether the letters beyond ASCII are ones
that people write, whether a word stays in one script, and whether capitals stand at its start.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

from shared.formats.base import BLOCK_BYTES, HEAD_BYTES
from shared.formats.text import is_all_utf8

SAMPLE_BYTES = 16_384  # of lines beyond ASCII
LIKELY = 0.6  # score from 0 to 1; below it the letters may be wrong
CLEAR = 0.05  # the lead of the best candidate, below which the second is as good

_WEST = "äöüßÄÖÜéèêëàâçîïôœùûñáíóúåæøÅÆØÉÈÀÇÑÁÍÓÚãõìòý°²³µ§«»„“”‘’–—…€£½¿¡ºª×·"
_EAST = "ąćęłńóśźżĄĆĘŁŃÓŚŹŻčďěňřšťůžýáéíúČĎĚŇŘŠŤŮŽÁÉÍÚőűŐŰăâîșțşţđĐäöüßÄÖÜ„”–°§€"
_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯёЁіїєґІЇЄҐ№«»–—°"
_GREEK = "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏ€«»–°"
_TURKISH = "ğışçöüĞİŞÇÖÜâî°€–"
_HEBREW = "אבגדהוזחטיךכלםמןנסעףפץצקרשת₪"
_ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهويةىأإآؤئءپچژگ،"
_THAI = "".join(map(chr, range(0x0E01, 0x0E5C)))
SINGLE_BYTE = {  # codec -> the letters that people write in it; a tie goes to the earlier one
    "cp1252": _WEST,
    "cp1250": _EAST,
    "cp1251": _CYRILLIC,
    "koi8_u": _CYRILLIC,
    "cp1253": _GREEK,
    "cp1254": _TURKISH,
    "iso8859_2": _EAST,
    "cp866": _CYRILLIC,
    "iso8859_5": _CYRILLIC,
    "mac_roman": _WEST,
    "cp850": _WEST,
    "cp1255": _HEBREW,
    "cp1256": _ARABIC,
    "cp874": _THAI,
}
# Characters that are frequent in tables and in general text; a codec may decode rare ones from any bytes.
_CHINESE = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经"
    "店铺销售额北京海广州深圳年月日期数量金名称品价格城市合计总小类别单位编号客户订单收入支出利润部门员工地区省县电话地址姓名性别龄成绩"
    "鋪銷額廣臺灣總計數單價稱產類別編號區門電話東西南北高雄中新竹開關業務報表時間進貨庫存"
)
_JAPANESE = (
    "店舗売上東京大阪横浜名古屋札幌福岡年月日数量金額商品価格合計小計部門顧客番号注文会社都道府県市区町村地域氏名平均件円人本社支店在庫"
    "担当者備考日付種別単価税込開始終了時間予算実績前期今期"
)
_KOREAN = (
    "지점매출서울부산대구인천광주대전이름금액수량날짜합계총년월일가격제품도시번호고객주문부서직원지역단가구분비고평균사원명시간전화주소"
    "의가에는은을를로한다고하기사자나라수정보제상품판매량"
)
MULTI_BYTE = {
    "gb18030": _CHINESE,
    "cp932": _JAPANESE,
    "big5": _CHINESE,
    "cp949": _KOREAN,
    "euc_jp": _JAPANESE,
}
NAMES = {
    "cp1252": "Windows-1252",
    "cp1250": "Windows-1250",
    "cp1251": "Windows-1251",
    "cp1253": "Windows-1253",
    "cp1254": "Windows-1254",
    "cp1255": "Windows-1255",
    "cp1256": "Windows-1256",
    "koi8_u": "KOI8-R/U",
    "iso8859_2": "ISO 8859-2",
    "iso8859_5": "ISO 8859-5",
    "mac_roman": "Mac Roman",
    "cp850": "DOS 850",
    "cp866": "DOS 866",
    "cp874": "Windows-874",
    "gb18030": "GB 18030",
    "cp932": "Shift-JIS",
    "big5": "Big5",
    "cp949": "EUC-KR",
    "euc_jp": "EUC-JP",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-8-sig": "UTF-8",
}


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """`codec` is a name for Python. `is_sure`: by a BOM or valid UTF-8, or a clear lead over all other candidates."""

    codec: str
    is_sure: bool = True

    @property
    def name(self) -> str:
        return NAMES[self.codec]


def encoding_of(content: IO[bytes]) -> Encoding:
    """The encoding of a text file. Reads all of it, in blocks; its position afterwards is its start."""
    content.seek(0)
    head = content.read(HEAD_BYTES)
    content.seek(0)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding(codec="utf-16")
    if codec := utf16_without_bom(head):
        return Encoding(codec=codec, is_sure=False)
    if is_all_utf8(content):
        return Encoding(codec="utf-8-sig")
    sample = _beyond_ascii(content)
    multi = re.findall(rb"[\xc3-\xf4][\x80-\xbf]+", sample)
    if sum(map(len, multi)) > 0.9 * len(re.findall(rb"[\x80-\xff]", sample)):
        return Encoding(codec="utf-8-sig", is_sure=False)  # UTF-8 with single damaged bytes
    return guess(sample)


def utf16_without_bom(head: bytes) -> str | None:
    """The codec, when nearly every second byte is NUL as in ASCII text, and the others are not those of a program."""
    if len(head) < 4 or b"\0" not in head:
        return None
    even, odd = head[0::2], head[1::2]
    for codec, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if high.count(0) > 0.4 * len(high) and low.count(0) == 0:
            return codec if len(re.findall(rb"[\x01-\x08\x0e-\x1f\x7f]", low)) <= len(low) / 50 else None
    return None


def guess(sample: bytes) -> Encoding:
    """The most likely encoding of bytes that are not UTF-8."""
    scores = {codec: _score_of_letters(sample, codec, letters) for codec, letters in SINGLE_BYTE.items()}
    scores |= {codec: _score_of_characters(sample, codec, common) for codec, common in MULTI_BYTE.items()}
    if not any(scores.values()):
        return Encoding(codec="cp1252", is_sure=False)
    ranked = sorted(scores, key=lambda codec: -scores[codec])
    best, second = ranked[0], ranked[1]
    same = _decode(sample, best) == _decode(sample, second)  # such as cp1250 and cp1252 for German
    is_sure = scores[best] >= LIKELY and (same or scores[best] - scores[second] >= CLEAR)
    return Encoding(codec=best, is_sure=is_sure)


def _beyond_ascii(content: IO[bytes]) -> bytes:
    """Lines with bytes beyond ASCII, from anywhere in the file."""
    found = bytearray()
    while (block := content.read(BLOCK_BYTES)) and len(found) < SAMPLE_BYTES:
        if not block.isascii():
            block += content.readline(BLOCK_BYTES)
            for line in re.split(rb"[\r\n]+", block):
                if not line.isascii():
                    found += line[:2000] + b"\n"
    content.seek(0)
    return bytes(found[: found.rfind(b"\n", 0, SAMPLE_BYTES) + 1 or SAMPLE_BYTES])


def _decode(sample: bytes, codec: str) -> str | None:
    try:
        return sample.decode(codec)
    except UnicodeDecodeError:
        return None


def _score_of_letters(sample: bytes, codec: str, letters: str) -> float:
    """How many of the characters beyond ASCII are letters of the script, in words of one script and natural case."""
    text = _decode(sample, codec)
    if text is None:
        return 0.0
    high = good = 0.0
    other_script = letters[0] not in _WEST + _EAST + _TURKISH
    for word in re.findall(r"[^\x00-\x2f:-@\[-`{-\x7f]+", text):
        beyond = [c for c in word if c > "\x7f"]
        if not beyond:
            continue
        high += len(beyond)
        fits = float(sum(c in letters for c in beyond))
        if re.search(r"[^\W\d_A-Z][^\W\d_a-z]", word) and any(a.islower() and b.isupper() for a, b in pairwise(word)):
            fits *= 0.5  # a capital after a small letter
        if re.search(r"[^\W\d_][–—„“”…†‡‰‹›][^\W\d_]", word):
            fits *= 0.3
        has_ascii = any(c.isascii() and c.isalpha() for c in word)
        has_letters = any(c.isalpha() for c in beyond)
        if has_letters and (has_ascii if other_script else len(beyond) > max(2, len(word) // 2)):
            fits *= 0.4
        good += fits
    # Thai letters fill nearly all of their half of the table, so that any bytes are words in it.
    return good / high * (0.7 if codec == "cp874" else 1.0) if high else 0.0


def _score_of_characters(sample: bytes, codec: str, common: str) -> float:
    """As `_score_of_letters`, for scripts of many characters: how many are frequent ones."""
    text = _decode(sample, codec)
    if text is None:
        return 0.0
    beyond = [c for c in text if c > "\x7f"]
    if not beyond:
        return 0.0
    is_japanese, is_korean = common is _JAPANESE, common is _KOREAN
    good = 0.0
    for c in beyond:
        if c in common:
            good += 1
        elif "\u3040" <= c <= "\u30ff":
            good += 1 if is_japanese else -0.5
        elif "\uff01" <= c <= "\uff5e" or "\u3000" <= c <= "\u303f":
            good += 0.8
        elif "\uac00" <= c <= "\ud7a3":
            good += 0.85 if is_korean else -0.5
        elif "\u4e00" <= c <= "\u9fff":
            good += (0.25 if is_korean else 0.85) if _is_frequent(c, codec) else 0.1
        else:
            good -= 0.5
    # A decoder that makes two-byte characters of any bytes takes the ASCII letter after an accented one.
    glued = len(re.findall(r"[a-zA-Z][\u3400-\u9fff\uac00-\ud7a3]|[\u3400-\u9fff\uac00-\ud7a3][a-z]", text))
    return max(0.0, (good - glued) / len(beyond))


def _is_frequent(character: str, codec: str) -> bool:
    """Whether the national standard has the character in its first level."""
    lead = character.encode(codec)[0]
    low, high = {"gb18030": (0xB0, 0xD7), "cp932": (0x88, 0x98), "big5": (0xA4, 0xC6), "euc_jp": (0xB0, 0xCF)}.get(
        codec, (0xB0, 0xC8)
    )
    return low <= lead <= high
