"""The built-in model on documents in other languages: it quotes a sentence, and does not answer what is not there."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import pytest_asyncio

from local.openai_emulator.models.offline.documents.question import QuestionTerms
from local.openai_emulator.models.offline.documents.units import sentences
from local.openai_emulator.models.offline.languages import language_of
from local.openai_emulator.models.offline.words import snowball, words
from local.openai_emulator.search.index import Index
from local.openai_emulator.search.passage import Passage
from tests.local.openai_emulator.models.offline.conversation import Conversation

LONGEST_ANSWER = 0.8  # of a document: an answer is sentences, not the page

# The same handbook in each language: holidays, travel, notice, remote work, parking.
HANDBOOKS = {
    "chinese": "员工每年享有25天带薪年假。年假必须提前两周向部门经理申请。出差时酒店费用每晚最高为120欧元。"
    "试用期为六个月，试用期内的通知期限为两周。远程办公每周最多两天。停车场位于办公楼的地下二层。",
    "japanese": "従業員は年間25日の有給休暇を取得できます。休暇は二週間前までに部門長に申請してください。"
    "出張時の宿泊費は一泊120ユーロまでです。試用期間は六か月で、その間の解約予告期間は二週間です。"
    "在宅勤務は週に二日まで可能です。駐車場は本社ビルの地下二階にあります。",
    "russian": "Каждый сотрудник имеет 25 дней оплачиваемого отпуска в год. Заявление на отпуск подаётся руководителю "
    "отдела за две недели. В командировке стоимость гостиницы не должна превышать 120 евро за ночь. Испытательный срок "
    "составляет шесть месяцев. Удалённая работа разрешена два дня в неделю. Парковка находится на втором подземном "
    "этаже.",
    "arabic": "يحصل كل موظف على 25 يوما من الإجازة المدفوعة في السنة. يقدم طلب الإجازة إلى مدير القسم قبل أسبوعين. "
    "لا تتجاوز تكلفة الفندق أثناء السفر 120 يورو لليلة الواحدة. مدة فترة التجربة ستة أشهر. "
    "يسمح بالعمل عن بعد يومين في الأسبوع. يقع موقف السيارات في الطابق السفلي الثاني.",
    "korean": "직원은 매년 25일의 유급 휴가를 받습니다. 휴가는 2주 전에 부서장에게 신청해야 합니다. "
    "출장 중 호텔 비용은 1박에 최대 120유로입니다. 수습 기간은 6개월입니다. "
    "재택근무는 주 2일까지 가능합니다. 주차장은 본사 건물 지하 2층에 있습니다.",
    "german": "Jeder Beschäftigte hat 25 Tage bezahlten Urlaub im Jahr. Der Urlaub wird zwei Wochen vorher bei der "
    "Abteilungsleitung beantragt. Auf Dienstreisen werden Hotelkosten bis 120 Euro je Übernachtung erstattet. Die "
    "Probezeit dauert sechs Monate. Mobiles Arbeiten ist an zwei Tagen in der Woche möglich. Der Parkplatz befindet "
    "sich im zweiten Untergeschoss.",
    "spanish": "Cada empleado tiene 25 días de vacaciones pagadas al año. Las vacaciones se solicitan al jefe del "
    "departamento con dos semanas de antelación. En los viajes, el hotel se paga hasta 120 euros por noche. El período "
    "de prueba dura seis meses. El teletrabajo está permitido dos días por semana. El aparcamiento está en el segundo "
    "sótano.",
    "french": "Chaque salarié dispose de 25 jours de congés payés par an. Les congés sont demandés au chef de service "
    "deux semaines avant. En déplacement, l'hôtel est remboursé jusqu'à 120 euros par nuit. La période d'essai dure "
    "six mois. Le télétravail est autorisé deux jours par semaine. Le parking se trouve au deuxième sous-sol.",
}
ASKED = (  # language, question, what the answer holds; None if the handbook does not say
    ("chinese", "员工每年有多少天年假？", "25天"),
    ("chinese", "出差的酒店费用最高是多少？", "120欧元"),
    ("chinese", "停车场在哪里？", "地下二层"),
    ("chinese", "公司的股票期权计划是什么？", None),
    ("japanese", "有給休暇は年間何日ですか？", "25日"),
    ("japanese", "出張の宿泊費はいくらまでですか？", "120ユーロ"),
    ("japanese", "駐車場はどこにありますか？", "地下二階"),
    ("japanese", "会社の年金制度について教えてください。", None),
    ("russian", "Сколько дней отпуска у сотрудников?", "25 дней"),
    ("russian", "Какая стоимость гостиницы допускается в командировке?", "120 евро"),
    ("russian", "Где находится парковка?", "подземном"),
    ("russian", "Какая пенсионная программа у компании?", None),
    ("arabic", "كم عدد أيام الإجازة للموظف؟", "25 يوما"),
    ("arabic", "ما هي تكلفة الفندق أثناء السفر؟", "120 يورو"),
    ("arabic", "أين يقع موقف السيارات؟", "الطابق السفلي"),
    ("arabic", "ما هي خطة التقاعد في الشركة؟", None),
    ("korean", "유급 휴가는 매년 며칠입니까?", "25일"),
    ("korean", "출장 호텔 비용은 최대 얼마입니까?", "120유로"),
    ("korean", "주차장은 어디에 있습니까?", "지하 2층"),
    ("korean", "회사의 연금 제도는 무엇입니까?", None),
    ("german", "Wie viele Tage Urlaub haben die Beschäftigten?", "25 Tage"),
    ("german", "Bis zu welchem Betrag werden Hotelkosten auf einer Dienstreise erstattet?", "120 Euro"),
    ("german", "Wo befindet sich der Parkplatz?", "Untergeschoss"),
    ("german", "Welche Betriebsrente bietet das Unternehmen?", None),
    ("spanish", "¿Cuántos días de vacaciones tienen los empleados?", "25 días"),
    ("spanish", "¿Dónde está el aparcamiento?", "sótano"),
    ("spanish", "¿Qué plan de pensiones ofrece la empresa?", None),
    ("french", "Combien de jours de congés ont les salariés ?", "25 jours"),
    ("french", "Où se trouve le parking ?", "sous-sol"),
    ("french", "Quel régime de retraite propose l'entreprise ?", None),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def index(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Index]:
    folder, index = tmp_path_factory.mktemp("handbooks"), Index(None)
    for number, text in enumerate(HANDBOOKS.values()):
        path = folder / f"handbook-{number}.txt"
        path.write_text(text, encoding="utf-8")
        await index.add("vs", f"file-{number}", path=path, filename=path.name, attributes={})
    yield index
    await index.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("language", "question", "holds"), ASKED, ids=[f"{one[0]}-{one[1]}" for one in ASKED])
async def test_a_question_is_answered_in_the_language_of_its_document(
    language: str, question: str, holds: str | None, index: Index
) -> None:
    said = await Conversation(index=index).ask(question)

    if holds is None:
        assert "documents do not say" in said.text and not said.citations
    else:
        assert holds in said.text and said.citations
        assert len(said.text) < LONGEST_ANSWER * len(HANDBOOKS[language])


@pytest.mark.parametrize(("language", "question"), [(language, question) for language, question, _ in ASKED])
def test_the_language_of_a_question_is_recognised(language: str, question: str) -> None:
    assert language_of(question).name == language


@pytest.mark.parametrize(
    "question",
    (
        "Rio de Janeiro?",
        "copay",
        "Total fee?",
        "Pro plan price",
        "War room?",
        "Cost of die in set?",
        "Where is the Zeitgeist exhibition?",
        "How much is the déjà vu package?",
        "",
        "2024?",
    ),
)
def test_english_with_foreign_words_stays_english(question: str) -> None:
    assert language_of(question).is_english


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "question",
    (
        "العنوان ـــ؟",
        "\ud800 pension?",
        "ประกันสุขภาพคืออะไร",
        "モニターの保証期間は？",
        "？中" * 2000,
        "what? rent? " * 200,
    ),
    ids=["stretched", "half a surrogate pair", "thai", "katakana", "many parts", "many questions"],
)
async def test_an_odd_question_is_refused(question: str, index: Index) -> None:
    said = await Conversation(index=index).ask(question)

    assert "documents do not say" in said.text and not said.citations


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 1000)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("eager_threads")
def test_threads_share_a_stemmer() -> None:
    said = [
        beginning + end for beginning in ("relat", "nation", "hope", "organiz") for end in ("ing", "ations", "fully")
    ]
    right = [snowball("english")(word) for word in said]
    shared = snowball("english")

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: [shared(word) for word in said], range(400)))

    assert [stems for stems in found if stems != right] == []


def test_words_of_any_script() -> None:
    assert words("Größe, naïve café's 3.5%") == ["größe", "naïve", "café's", "3.5"]
    assert words("比赛还剩 4 分") == ["比赛", "赛还", "还剩", "4", "分"]
    assert words("كم عدد الأيام؟") == ["كم", "عدد", "الأيام"]
    assert words("हिन्दी में") == ["हिन्दी", "में"]


def test_sentences_of_any_script() -> None:
    assert sentences("他说：「好。」然后走了。第二句！对？") == ["他说：「好。」", "然后走了。", "第二句！", "对？"]
    assert sentences("Это первое, т. е. главное. Ещё одно!") == ["Это первое, т. е. главное.", "Ещё одно!"]
    assert sentences("Open 9 a.m. – 5 p.m. daily. ¿Y mañana? «No.»") == [
        "Open 9 a.m. – 5 p.m. daily.",
        "¿Y mañana?",
        "«No.»",
    ]
    assert sentences("هذا أول. هل هذا ثان؟ نعم.") == ["هذا أول.", "هل هذا ثان؟", "نعم."]


def test_pairs_of_characters_across_two_words_are_no_terms() -> None:
    passage = Passage(file_id="f", filename="a.txt", text="球员很多。他拦截了球。", score=1.0)

    assert QuestionTerms.of("哪个球员拦截？").about([passage]).own == ("球员", "拦截")
