"""Words in questions about tables: those that change nothing, those that mean a column, and adjectives.

A word that stands nowhere here and is not found in the table makes the model refuse. So only words that can never be a
condition or a measure belong in `SILENT`.
"""

from __future__ import annotations

from local.openai_emulator.models.offline.words import stem

_SILENT = """
a about according all also am among an and any are as at be been being both by can could did do does doing done during
each either every for from get give given gives got had has have having he her here his how i if in into is it its
itself just let like list many may me might more much must my need now of on one or our ours out over please put quick
say she should show shows so some such take tell than that the their them then there these they this those thus to too
us use used uses using very via want was we were what when where which while who whom whose will with within would you
your yours they're it's what's who's i'd let's find calculate compute create make determine identify analyze analyse
analysis check give report explore examine describe display investigate look see know perform carry apply generate
produce provide return state write help question answer result results data dataset datasets table tables file
files csv excel xlsx json spreadsheet sheet column columns field fields row rows record records entry entries line
lines value values variable variables feature figure figures number numbers cell cells item items case cases thing
things something observation observations point points measurement measurements sample samples category group groups
given following respective corresponding different individual overall exactly actually currently really ever there
separately together available whole entire based located individuals coordinate coordinates recorded listed contained
present observed made went goes took came comes come coming belong belongs belonging living hit hits achieve achieved
reached ones part gets getting counted surveyed interviewed readings anyone anybody somebody someone ie noted
"""
# The language of statistics: how something is computed, where that is what the programs do anyway.
_METHOD = """
pearson coefficient coefficients strength direction linear linearly relationship relationships significance
significant significantly alpha level p-value pvalue p two-tailed tailed tail test tests testing assess associated
consider considered null hypothesis reject normal normally normality distribution distributed adheres follow follows
method methods standard built python pandas numpy scipy function functions library libraries formula arithmetic
statistical statistics mathematical decimal decimals place places round rounded rounding nearest digit digits integer
floating format output ignore ignoring exclude excluding missing nan empty data directly prior without applying
transformations modify modifying remove removing filters filter outlier outliers calculation calculations computed
calculating computation calculated performed otherwise assume measures measure using r between else conclude indicates
indicate less greater equal than include including available contains contain do not be should no if when their
absolute fisher's definition unbiased bias type scale final whether two step hence therefore only non z iqr q1 q3
interquartile quartile range threshold score scores falls fall below above outside lies lie beyond whisker whiskers
define defined values deemed data-point shapiro wilk kolmogorov smirnov true false
"""
# In a sentence about the method: operations that no program here does.
_OPERATIONS = """
log logarithm logarithmic transform transformed transformation transformations regression predict predicted predicting
prediction train training classifier classify cluster clusters clustering machine learning model accuracy rmse mse
impute imputing imputation imputed fill filling filled normalize normalized normalization scaling scaled standardize
standardized encode encoding ratio ratios subtract subtracting subtracted multiply multiplied divide divided weighted
rolling moving cumulative spearman kendall anova chi bootstrap engineering derived lag bin bins binned duplicate
duplicates drop dropping dropped replace replacing replaced random split preprocessing cleaning shift interpolate
square squared root logistic forest tree trees svm knn neighbors neighbours cross-validation ridge lasso polynomial
boosting neural hot
"""
# After the name of a column of numbers, these mean its figures: "murder rate" for `Murder`.
_MEASURES = "rate level size reading rating vote score result percentage amount"
MEASURES = frozenset(form for word in _MEASURES.split() for form in (word, f"{word}s"))
# After the name of a column of text, these mean its values: "educational background", "customer type".
_CLASSES = "background status type kind level class code"
CLASSES = frozenset(form for word in _CLASSES.split() for form in (word, f"{word}s", f"{word}es"))
OPERATIONS = frozenset(_OPERATIONS.split())
# What a sentence about a derived column may say of it
_DERIVING = """
log logarithm logarithmic transform transformed transformation ratio ratios subtract subtracted impute imputing
imputation imputed fill filling filled engineering derived normalize normalized normalization scaling scaled
standardize standardized divide divided multiply multiplied replace replacing replaced
"""
DERIVING = frozenset(_DERIVING.split())
SILENT = frozenset(_SILENT.split())
METHOD = frozenset(_METHOD.split())

# Forms of verbs that the stem does not tell
_IRREGULAR = """
slept sleep drove drive driven drive flew fly flown fly ran run spent spend bought buy paid pay rode ride
ridden ride swam swim ate eat eaten eat drank drink wrote write written write spoke speak spoken speak rose rise
weighed weight lay laid
"""
IRREGULAR = dict(zip(_IRREGULAR.split()[::2], _IRREGULAR.split()[1::2], strict=True))

# Each group of words means the same in a question as in a column's name.
_SAME = (
    "usage traffic requests visits sessions hits",
    "busy busiest requests visits sessions orders traffic",
    "processor cpu",
    "ram memory",
    "latency delay response",
    "slow slower faster response latency",
    "error failure failures errors",
    "sales revenue turnover sold",
    "salary wage pay income earnings",
    "cost price fare fee charge rent",
    "pay paid price cost fare bill charge",
    "old age",
    "weigh weight mass",
    "tall height",
    "machine server host",
    "product item article",
    "country nation geography",
    "person people passenger passengers employee user",
    "town city",
    "team club squad",
    "born birth bdate dob birthdate birthday",
    "neighborhood neighbourhood locality suburb district",
    "gender sex",
    "qty quantity amount count",
    "quantity qty unit pieces",
    "temperature temp hot cold warm",
    "rain rainfall precipitation",
    "snow snowfall precipitation",
    "date day timestamp time",
    "owner responsible owned",
    "gdp economy",
    "trip ride journey taxi drive",
    "bill check",
    "votes vote",
    "sale sold sell selling",
    "buy bought purchase purchased",
    "worth value valuation",
    "revenue amount",
    "score points rating mark grade star",
    "industry sector branch",
    "population pop",
    "publisher pub",
    "organization organisation org",
    "department dept team division",
    "job occupation profession",
    "bed bedroom bedrooms beds",
    "bath bathroom bathrooms baths",
    "sqft area footage size",
    "mileage milage mpg miles",
    "employee emp",
    "experience exp exper",
    "education educ edu",
    "government govt gov",
    "manufacturer mfr make brand company maker",
    "match game",
    "winner won win victory",
    "loser lost lose defeat",
    "attendance crowd spectators audience",
    "difference margin",
    "humidity humid",
    "rank place ranked",
    "position pos",
    "die died dead death killed fatalities deaths",
    "woman women female",
    "man men male",
    "center centre",
    "zip zcta postcode",
    "earthquake quake",
    "odds probability chance chances likelihood",
    "high max maximum",
    "low min minimum",
    "color colour",
    "gray grey",
    "labor labour",
)
SAME = tuple(frozenset(map(stem, group.split())) for group in _SAME)
SAME_WORDS = frozenset(word for group in _SAME for word in group.split())

# Adjective -> (whether it means the lowest value, the words of the columns that it means).
ADJECTIVES: dict[str, tuple[bool, str]] = {
    "hottest": (False, "temperature temp"),
    "warmest": (False, "temperature temp"),
    "coldest": (True, "temperature temp"),
    "coolest": (True, "temperature temp"),
    "oldest": (False, "age"),
    "youngest": (True, "age"),
    "heaviest": (False, "weight mass"),
    "lightest": (True, "weight mass"),
    "tallest": (False, "height elevation altitude"),
    "longest": (False, "length duration minutes hours time distance days miles km"),
    "shortest": (True, "length duration minutes hours time distance height days miles km"),
    "cheapest": (True, "price cost rent fare fee charge value"),
    "dearest": (False, "price cost rent fare fee charge value"),
    "expensive": (False, "price cost rent fare fee charge value"),
    "priciest": (False, "price cost rent fare fee charge value"),
    "costliest": (False, "price cost rent fare fee charge value"),
    "valuable": (False, "value worth price valuation"),
    "richest": (False, "income wealth gdp salary"),
    "poorest": (True, "income wealth gdp salary"),
    "slowest": (False, "response latency duration time"),
    "fastest": (True, "response latency duration time"),
    "busiest": (False, "requests visits sessions orders traffic"),
    "quietest": (True, "requests visits sessions orders traffic"),
    "happiest": (False, "happiness"),
    "wettest": (False, "rain rainfall precipitation"),
    "driest": (True, "rain rainfall precipitation"),
    "windiest": (False, "wind"),
    "deepest": (False, "depth"),
    "strongest": (False, "magnitude strength wind"),
    "farthest": (False, "distance miles mileage milage km"),
    "furthest": (False, "distance miles mileage milage km"),
}
HIGHEST = frozenset(
    ["highest", "most", "max", "maximum", "largest", "biggest", "greatest", "top", "best", "peak", "worst"]
)
LOWEST = frozenset(["lowest", "least", "min", "minimum", "smallest", "fewest", "bottom"])
WOMEN = frozenset(["woman", "women", "female", "females", "girl", "girls", "lady", "ladies"])
MEN = frozenset(["man", "men", "male", "males", "boy", "boys", "gentleman", "gentlemen"])
# Nouns for what the rows are; `entities` checks that the table fits.
_PEOPLE = """
people persons individuals employees workers staff customers clients users members students pupils patients
participants respondents passengers guys folks kids contestants competitors candidates visitors guests
players athletes voters applicants borrowers subjects professors teachers children
adults
"""
PEOPLE = frozenset(_PEOPLE.split())
# People of one role each
PEOPLE_OF = (
    "employee worker staff",
    "customer client guest visitor buyer",
    "student pupil kid child",
    "patient",
    "passenger",
    "player athlete",
    "voter respondent",
    "applicant borrower",
    "teacher professor",
)
# Of these only the people of some ages; with a column of ages they are a condition.
OF_AGES = frozenset(["children", "adults", "kids"])
_ROW_NOUNS = """
cars vehicles automobiles models animals species countries nations states cities towns regions districts counties
provinces houses homes properties apartments flats buildings hotels restaurants shops stores products items books
movies films songs albums games matches teams clubs flights airports planes trips rides journeys orders sales
purchases transactions payments invoices loans accounts stocks shares companies firms businesses banks jobs projects
tasks departments schools universities courses hospitals tests exams experiments plants flowers trees wines beers
foods meals recipes days weeks months years hours earthquakes storms accidents crimes events incidents tickets calls
emails messages posts tweets articles sites pages devices servers machines sensors stations measurements birds dogs
cats bookings reservations admissions appointments shipments deliveries rentals subscriptions claims campaigns
listings applications prizes awards winners quakes dishes deals rounds startups sessions visits launches missions
paintings licenses coffees boats ships podcasts channels videos apps episodes museums libraries markets
reviews
"""
ROW_NOUNS = frozenset(_ROW_NOUNS.split())
# Roles that all people of a table can have; the reading says so.
_ROLES = """
victims inmates prisoners donors suspects defendants offenders nominees authors artists singers actors fighters boxers
golfers runners swimmers skaters climbers
"""
ROLES = frozenset(_ROLES.split())
# Columns of these are of other persons than those that the rows are.
OTHER_PERSONS = frozenset(
    ["manager", "supervisor", "boss", "doctor", "agent", "teacher", "coach", "landlord", "referee"]
)
# Participles of verbs that say how the rows came about.
_RELATING = """
awarded bought built caught collected conducted covered created detected diagnosed discovered established examined
filed found founded given grown handed happened heard held interviewed issued launched listed located logged made
manufactured measured observed occurred placed planted played produced purchased published recorded registered
released reported seen sold sighted situated staged submitted surveyed taken tested traveled travelled visited written
"""
RELATING = frozenset(_RELATING.split())
# What the no of a column of yes and no is called
OPPOSITES = {
    "survived": "died dead perished drowned",
    "alive": "died dead perished",
    "success": "failed failure failures unsuccessful",
    "successful": "failed failure failures unsuccessful",
    "active": "inactive",
    "married": "unmarried",
    "paid": "unpaid free",
    "employed": "unemployed",
    "passed": "failed",
    "insured": "uninsured",
    "weekend": "weekday weekdays workdays",
}
# What became of somebody: the names of columns of yes and no, and what their yes and their no are called
OUTCOMES: tuple[tuple[tuple[frozenset[str], ...], frozenset[str], frozenset[str]], ...] = (
    (
        tuple(frozenset([stem(name)]) for name in ("revenue", "purchased", "purchase", "converted", "conversion")),
        frozenset(["purchase", "purchases", "bought", "buy", "buys", "converted", "conversion", "conversions"]),
        frozenset(),
    ),
    (
        tuple(frozenset(map(stem, (name, "status"))) for name in ("loan", "application", "approval")),
        frozenset(["approved", "granted", "accepted", "approval", "approvals"]),
        frozenset(["rejected", "denied", "refused", "declined", "rejection", "rejections"]),
    ),
    (
        tuple(frozenset([stem(name)]) for name in ("attrition", "churn", "churned", "exited")),
        frozenset(
            [
                "left",
                "leave",
                "leaves",
                "leaving",
                "quit",
                "quits",
                "resigned",
                "cancelled",
                "canceled",
                "churn",
                "attrition",
            ]
        ),
        frozenset(["stayed", "stay", "stays", "staying", "remained", "remain"]),
    ),
)
# Of the first of two dates, which says when something began.
_BEGIN = "appointed hired hire start join started joined opened began elected employed"
BEGINNING = frozenset(_BEGIN.split())
_VERBS = "is are was were has have had do does did come comes came get gets got take takes took"
VERBS = frozenset(_VERBS.split())
# Before what is asked for they add nothing: "still alive", "already paid".
ADVERBS = frozenset(["still", "fully", "already", "completely", "currently", "previously", "now"])
# In "phone number of" nothing is counted.
NUMBERED = "phone|telephone|mobile|fax|account|serial|invoice|passport|jersey"
# Before a name they only say that it is one: "the dog called Rex"; "called" is no value `Calle`.
NAMING = frozenset(["called", "named", "titled", "entitled", "nicknamed"])
LIVING = frozenset(f"{verb}{end}" for verb in ("live", "reside", "work") for end in ("", "s", "d", "ed"))
# In "at the tournament" they mean the whole table.
_WHOLES = """
tournament competition championship menu list study survey experiment season sample collection catalogue catalog
inventory period history place ranking company league firm organisation organization business
"""
WHOLES = frozenset(_WHOLES.split())
YES = frozenset(["yes", "y", "true", "t", "1"])
NO = frozenset(["no", "n", "false", "f", "0"])
_NOT = """
not non no without excluding except never neither nor outside isn't aren't wasn't weren't didn't don't doesn't
can't cannot couldn't won't hasn't haven't
"""
NOT = frozenset(_NOT.split())
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
ORDINALS = {"first": "1", "second": "2", "third": "3"}
NUMBERS = {word: number for number, word in enumerate(_NUMBERS.split())}
