"""The documentation as data: its pages, their headings, links, code blocks and what is typed in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
NO_LINKS = ("http://", "https://", "mailto:")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language and its text."""

    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return re.sub(r"^```.*?^```$", "", self.text, flags=re.MULTILINE | re.DOTALL)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        found = re.findall(r"^```(\w*)\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)
        return tuple(Block(language, text) for language, text in found)

    @cached_property
    def anchors(self) -> frozenset[str]:
        """What GitHub makes of the headings."""
        titles = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Targets of links and pictures that lie in this repository."""
        targets = re.findall(r"\]\(([^)\s]+)\)", self.prose)
        return tuple(target for target in targets if not target.startswith(NO_LINKS))

    def section(self, title: str) -> str:
        """The text below a heading, up to the next one of the same or a higher level. Empty when there is none."""
        found = re.search(rf"^(#+) [^\n]*{re.escape(title)}[^\n]*\n(.*?)(?=^#{{1,9}} |\Z)", self.text, re.MULTILINE | re.DOTALL)
        return found[2] if found else ""

    def typed(self) -> Iterator[list[str]]:
        """The words of each command that a reader is shown after a prompt, without its comment."""
        for block in self.blocks:
            if block.language == "console":
                for line in re.findall(r"^\$ (.+)$", block.text, re.MULTILINE):
                    for command in re.split(r"\s*&&\s*", line):
                        yield shlex.split(command, comments=True)


PAGES = tuple(Page(path) for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))])


def page(name: str) -> Page:
    return next(found for found in PAGES if found.path.name == name)
