"""Prompts of a wanted length, made of passages and instructions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, islice, product

from llenergymeasure.datasets.seeds import Passage, Seeds, Snippet

# Shorter prompts hold one passage, longer ones two, and the longest a collection (words).
_TWO_PASSAGES_FROM = 135
_COLLECTION_FROM = 255
# Instead of two or more passages, every so many turns pieces of code.
_WORKSHEET_EVERY = 6

# The first unused draft within this share of the wanted length is taken, else the nearest of so many drafts.
_NEAR_ENOUGH = 0.01
_DRAFTS = 24
_TURNS = 1000

# Steps through the passages; without a common factor with their number, so that each is reached.
_STEP = 37
_STEP_IN_COLLECTION = 7


def words(text: str) -> int:
    """How many words a text has: what stands between white space."""
    return len(text.split())


def code_prompt(snippet: Snippet) -> str:
    """What to do, and the code in a fence."""
    return "\n".join((snippet.task, "", f"```{snippet.language.lower()}", *snippet.code, "```"))


@dataclass(frozen=True, slots=True)
class _Draft:
    """A prompt, and what makes its beginning: no two prompts may have that in common."""

    text: str
    opening: tuple[str, ...]


class Composer:
    """Makes one prompt after another, each with a beginning of its own; forms and passages take turns."""

    def __init__(self, seeds: Seeds) -> None:
        self._seeds = seeds
        self._used: set[tuple[str, ...]] = set()
        self._code = [(task, words(task)) for task in map(code_prompt, seeds.code)]
        self._turn = 0

    def prompt(self, aim_words: float) -> str:
        """A prompt of about that many words."""
        best, missed_by = None, float("inf")
        for draft in islice((draft for draft in self._drafts(aim_words) if draft.opening not in self._used), _DRAFTS):
            miss = abs(words(draft.text) - aim_words)
            if miss < missed_by:
                best, missed_by = draft, miss
            if miss <= _NEAR_ENOUGH * aim_words:
                break
        assert best is not None, "the seeds have too few beginnings"
        self._used.add(best.opening)
        self._turn += 1
        return best.text

    def _drafts(self, aim: float) -> Iterator[_Draft]:
        for turn in range(self._turn, self._turn + _TURNS):
            if aim < _TWO_PASSAGES_FROM:
                yield self._about_one(turn, aim)
            elif turn % _WORKSHEET_EVERY == 0:
                yield from self._worksheets(aim)
            elif aim < _COLLECTION_FROM:
                yield self._about_two(turn, aim)
            else:
                yield self._about_many(turn, aim)

    def _about_one(self, turn: int, aim: float) -> _Draft:
        before, after = self._seeds.before, self._seeds.after
        passage, language = self._passage(turn), self._language(turn)
        form = turn % (len(before) + len(after) + 2)
        if form < len(before):
            request = before[form].format(title=passage.title, language=language)
            text = _cut(passage, aim - words(request))
            return _Draft(f"{request}\n\n{text}", (before[form], passage.title))
        form -= len(before)
        if form < len(after):
            request = after[form].format(language=language)
            return _Draft(f"{_cut(passage, aim - words(request))}\n\n{request}", (passage.title,))
        question, whole = passage.questions[turn % 2], " ".join(passage.sentences)
        if form == len(after):
            return _Draft(f"{question}\n\n{whole}", (question,))
        return _Draft(f"{whole}\n\nQuestion: {question}", (passage.title,))

    def _about_two(self, turn: int, aim: float) -> _Draft:
        form = self._seeds.pair[turn % len(self._seeds.pair)]
        first, second = self._passage(turn), self._passage(turn + 1)
        request = form.format(title=first.title, second=second.title, language=self._language(turn))
        titles = words(first.title) + words(second.title)
        texts = _cut_both(first, second, aim - words(request) - titles)
        parts = (request, first.title, texts[0], second.title, texts[1])
        return _Draft("\n\n".join(parts), (form, first.title))

    def _about_many(self, turn: int, aim: float) -> _Draft:
        form = self._seeds.many[turn % len(self._seeds.many)]
        first, second = self._in_collection(turn, 0), self._in_collection(turn, 1)
        task = self._task(turn, second)
        order = (self._in_collection(turn, place) for place in range(len(self._seeds.passages)))
        texts = _collection(order, aim - words(form) - words(first.title) - words(task))
        request = form.format(title=first.title, count=len(texts))
        return _Draft("\n\n".join((request, *texts, task)), (form, first.title))

    def _worksheets(self, aim: float) -> Iterator[_Draft]:
        """One for each piece of code that may come first."""
        ending, size = self._seeds.worksheet, len(self._code)
        wanted = aim - words(ending)
        for first in range(size):
            if (self._code[first][0],) in self._used:
                continue
            order = [self._code[(first + _STEP_IN_COLLECTION * place) % size] for place in range(size)]
            running = list(accumulate(1 + length for _, length in order))
            number = 1 + min(range(1, size), key=lambda last: abs(running[last] - wanted))
            tasks = (f"{place}. {task}" for place, (task, _) in enumerate(order[:number], start=1))
            yield _Draft("\n\n".join((*tasks, ending.format(count=number))), (order[0][0],))

    def _task(self, turn: int, asked: Passage) -> str:
        """Every other collection ends with a question about one of its texts, the others with a task about all."""
        tasks, answer = self._seeds.tasks, self._seeds.answer
        if turn % 2:
            return tasks[turn // 2 % len(tasks)]
        form = answer[turn // 2 % len(answer)]
        return form.format(title=asked.title, question=asked.questions[turn // 2 % 2])

    def _in_collection(self, turn: int, place: int) -> Passage:
        return self._seeds.passages[(turn * _STEP + place * _STEP_IN_COLLECTION) % len(self._seeds.passages)]

    def _passage(self, turn: int) -> Passage:
        return self._seeds.passages[turn * _STEP % len(self._seeds.passages)]

    def _language(self, turn: int) -> str:
        return self._seeds.languages[turn % len(self._seeds.languages)]


def _first(passage: Passage, sentences: int) -> str:
    return " ".join(passage.sentences[:sentences])


@cache
def _running(passage: Passage) -> tuple[int, ...]:
    """The words of the first sentence, of the first two, and so on."""
    return tuple(accumulate(words(sentence) for sentence in passage.sentences))


def _cut(passage: Passage, aim: float) -> str:
    """The beginning of a passage, of about that many words."""
    return _first(passage, _sentences(passage, aim))


def _sentences(passage: Passage, aim: float) -> int:
    """How many sentences, two or more, have about that many words."""
    running = _running(passage)
    return 1 + min(range(1, len(running)), key=lambda last: abs(running[last] - aim))


def _cut_both(first: Passage, second: Passage, aim: float) -> tuple[str, str]:
    """The beginnings of two passages, of about that many words together."""
    one, other = _running(first), _running(second)
    choices = product(range(2, len(one)), range(1, len(other)))
    best = min(choices, key=lambda last: abs(one[last[0]] + other[last[1]] - aim))
    return _first(first, best[0] + 1), _first(second, best[1] + 1)


def _collection(order: Iterable[Passage], aim: float) -> list[str]:
    """Numbered passages, the last one cut, of about that many words. The first two are whole."""
    parts: list[str] = []
    left = aim
    for number, passage in enumerate(order, start=1):
        heading = f"{number}. {passage.title}"
        sentences = len(passage.sentences) if number <= 2 else _sentences(passage, left - words(heading))
        remains = left - words(heading) - _running(passage)[sentences - 1]
        if number > 2 and abs(remains) >= abs(left):
            break
        parts.append(f"{heading}\n\n{_first(passage, sentences)}")
        left = remains
    return parts
