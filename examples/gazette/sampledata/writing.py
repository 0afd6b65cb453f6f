"""Writes what a magazine could have written: headlines, standfirsts, articles and comments, from the sentences in prose/."""

import tomllib
from itertools import islice
from pathlib import Path

PROSE = Path(__file__).parent / "prose"

NUMBER_WORDS = [
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "sixteen",
    "seventeen",
    "nineteen",
    "twenty-two",
    "twenty-six",
    "thirty",
    "forty-one",
]
ORDINALS = ["second", "third", "fourth", "fifth", "sixth", "seventh", "ninth", "eleventh"]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
SEASONS = ["spring", "summer", "autumn", "winter"]

# What an article is made of: the kinds of sentences of each paragraph, in order.
# A heading or a pulled quotation may stand between.
SHAPES = [
    ["scene", "context", "evidence", "voice", "doubt", "closing"],
    ["scene", "context", "voice", "HEADING", "evidence", "past", "doubt", "outlook", "closing"],
    ["context", "scene", "voice", "evidence", "HEADING", "past", "context", "QUOTE", "doubt", "HEADING", "outlook", "closing"],
    [
        "scene",
        "context",
        "evidence",
        "HEADING",
        "past",
        "voice",
        "context",
        "evidence",
        "HEADING",
        "doubt",
        "voice",
        "outlook",
        "closing",
    ],
]
SHAPE_WEIGHTS = [4, 4, 2, 1]
KINDS = ["scene", "context", "evidence", "voice", "past", "doubt", "outlook", "closing"]


def _read(name):
    return tomllib.loads((PROSE / name).read_text(encoding="utf-8"))


def read_sections():
    """The sections by slug, as their files describe them, the largest first."""
    sections = {path.stem: _read(f"sections/{path.name}") for path in sorted((PROSE / "sections").glob("*.toml"))}
    return dict(sorted(sections.items(), key=lambda item: -item[1]["weight"]))


def _capitalise(text):
    return text[0].upper() + text[1:]


class Drawn(dict):
    """The words of one article. What differs from sentence to sentence is drawn when it is asked for."""

    def __init__(self, rng, *arguments, **words):
        super().__init__(*arguments, **words)
        self.rng = rng

    def __missing__(self, key):
        rng = self.rng
        match key:
            case "number":
                return rng.choice(NUMBER_WORDS)
            case "count":
                return f"{int(10 ** (2.2 + 2.3 * rng.random())):,}"
            case "share":
                return f"{2 + int(rng.random() * 85)} per cent"
            case "year":
                return str(1921 + int(rng.random() * 98))
            case "month":
                return rng.choice(MONTHS)
            case "season":
                return rng.choice(SEASONS)
            case "weekday":
                return rng.choice(WEEKDAYS)
            case "nth":
                return rng.choice(ORDINALS)
        raise KeyError(key)


class Writer:
    """Draws everything from one random generator, so that the same seed writes the same magazine."""

    def __init__(self, rng):
        self.rng = rng
        self.sections = read_sections()
        self.general = _read("general.toml")
        self.names = self.general["names"]
        self.shared_tags = self.general["tags"]["shared"]
        self.remarks = _read("comments.toml")
        # A section's own lines come up as often as the general ones, though there are fewer of them.
        self.headlines = {slug: self.general["headlines"] + section["headlines"] * 3 for slug, section in self.sections.items()}
        self.standfirsts = {
            slug: self.general["standfirsts"] + section["standfirsts"] * 3 for slug, section in self.sections.items()
        }
        self.sentences = {
            slug: {kind: self.general[kind] + (section["sentences"] if kind in ("context", "evidence") else []) for kind in KINDS}
            for slug, section in self.sections.items()
        }

        self.bags = {}

    def _take(self, bag, options):
        """Draw without putting back until all were drawn, so that neighbours in a list differ."""
        left = self.bags.get(bag)
        if not left:
            left = self.bags[bag] = self.rng.sample(options, len(options))
        return left.pop()

    def name_person(self):
        return f"{self.rng.choice(self.names['first'])} {self.rng.choice(self.names['last'])}"

    def choose_words(self, section_slug):
        """The people, places and things of one article."""
        rng, section = self.rng, self.sections[section_slug]
        place, other = rng.sample(self.names["places"], 2)
        last, role = rng.choice(self.names["last"]), rng.choice(section["roles"])
        subject = self._take((section_slug, "subjects"), section["subjects"])
        return Drawn(
            rng,
            place=place,
            other=other,
            street=rng.choice(self.names["streets"]),
            expert=f"{rng.choice(self.names['first'])} {last}",
            last=last,
            a_role=("an " if role[0] in "aeiou" else "a ") + role,
            institution=rng.choice(section["institutions"]),
            subject=subject,
            Subject=_capitalise(subject),
        )

    def write_headline(self, section_slug, words):
        return _capitalise(self._take((section_slug, "headlines"), self.headlines[section_slug]).format_map(words))

    def write_standfirst(self, section_slug, words):
        return _capitalise(self._take((section_slug, "standfirsts"), self.standfirsts[section_slug]).format_map(words))

    def write_body(self, section_slug, words):
        """Six to thirteen blocks in the editors' plain-text form; no sentence comes twice."""
        rng = self.rng
        kinds = self.sentences[section_slug]
        shape = rng.choices(SHAPES, SHAPE_WEIGHTS)[0]
        sentences = {kind: iter(rng.sample(kinds[kind], min(14, len(kinds[kind])))) for kind in set(shape) & set(KINDS)}
        voice = sentences.setdefault("voice", iter(()))
        blocks = []
        for kind in shape:
            if kind == "HEADING":
                blocks.append("## " + _capitalise(rng.choice(self.general["headings"]).format_map(words)))
            elif kind == "QUOTE":
                blocks.append("> " + next(voice).format_map(words))
            else:
                lines = list(islice(sentences[kind], 2 if kind in ("closing", "voice") else rng.randint(3, 4)))
                if kind in ("context", "past", "doubt") and rng.random() < 0.4:
                    lines += islice(voice, 1)
                blocks.append(" ".join([_capitalise(line.format_map(words)) for line in lines]))
        return "\n\n".join(blocks)

    def write_comment(self, words):
        """One to four sentences, with the people and places of the article."""
        rng, remarks = self.rng, self.remarks
        chance = rng.random()
        lines = [rng.choice(remarks["openings"])] if chance < 0.75 else []
        if chance > 0.12:
            lines.append(rng.choice(remarks["middles"]))
        if 0.4 < chance < 0.6:
            second = rng.choice(remarks["middles"])
            if second not in lines:
                lines.append(second)
        if 0.5 < chance < 0.85:
            lines.append(rng.choice(remarks["closings"]))
        return " ".join([_capitalise(line.format_map(words)) for line in lines])

    def write_biography(self, name):
        places = self.rng.sample(self.names["places"], 2)
        words = Drawn(self.rng, name=name, place=places[0], other=places[1])
        words["year"] = str(1996 + self.rng.randrange(28))
        return self.rng.choice(self.general["biographies"]).format_map(words)
