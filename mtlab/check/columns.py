"""The role of each column of a table: as the user names it, by its name, or guessed from its
values.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mtlab.check import pairs
from mtlab.check.column import NUMBERS, Column, words_of
from mtlab.data.reading import names
from mtlab.data.reading.table import Table
from mtlab.plan.tasks import Task
from mtlab.tasks.kind import Kind

NAMES = {
    "tokens": ("tokens", "token", "words", "sentence", "text"),
    "text": (
        "text", "sentence", "utterance", "query", "question", "message", "content", "body", "title",
    ),
}  # fmt: skip
"""mtlab's names of columns of words to usual names of such columns, likeliest first. The usual
names of a column of gold are in the kind of its task."""


@dataclass(frozen=True)
class Choice:
    """The column of a source that was chosen for a column of mtlab."""

    name: str
    """mtlab's name of the column."""
    column: str
    """The source's name of the column."""
    guess: str = ""
    """The reason, if the choice is a guess."""
    others: tuple[str, ...] = ()
    """Other columns of the source that fit as well."""


def rank(column: str, names: Sequence[str]) -> int:
    """The index of the first of these names that occurs in a column's name; their number if none
    does. A lower index is a likelier column.
    """
    words = words_of(column)
    return next((place for place, name in enumerate(names) if name in words), len(names))


def is_called(column: str, names: Sequence[str]) -> bool:
    """Whether a column's name is one of these names, or has one as a word."""
    return rank(column, names) < len(names)


def choose(
    table: Table, column_names: Mapping[str, str], tasks: Mapping[str, Task]
) -> list[Choice]:
    """The columns to read from a source for ``tasks``; roles without a column are left out.

    Args:
        table: the training split.
        column_names: mtlab's names to the source's names, as far as the user gave them.
        tasks: the tasks that read the source.
    """
    chooser = _Chooser(table, column_names)
    kinds = {task.column: task.as_kind for task in tasks.values()}
    of_words = [column for column, kind in kinds.items() if kind.of_words]
    chooser.reserve(kinds)
    for column in of_words:
        chooser.gold(column, kinds[column])
    if of_words:
        chooser.words_of(of_words)
    for column, kind in kinds.items():
        if not kind.of_words:
            chooser.gold(column, kind)
    if not of_words:
        chooser.words_or_text()
    return list(chooser.choices.values())


def looks_like(column: Column, kind: Kind, others: Iterable[Column]) -> bool:
    """Whether a column's values look like gold of a kind.

    Args:
        column: a column of a table.
        kind: the kind of a task.
        others: columns that may hold the words.
    """
    if kind.of_words:
        has_entities = column.tags or column.entities or column.marks
        return has_entities if kind.spans else pairs.is_plain_tags(column, others)
    if kind.many:
        return column.name_lists and pairs.could_be(column, kind)
    if kind.one_label:
        return column.label and not column.tags and not column.entities
    return column.numbers and pairs.could_be(column, kind)


def reason(column: Column, kind: Kind) -> str:
    """Why a column's values look like gold of a kind, in words."""
    if kind.spans and (column.entities or column.marks):
        return "entities in a text" if column.entities else "entities are marked in the text"
    if kind.of_words:
        return "every item is a tag" if kind.spans and column.tags else "as many items as words"
    if kind.many:
        return f"lists of {len(column.items):,} different values"
    if kind.one_label:
        return f"{column.distinct:,} different in {len(column.values):,} rows"
    numbers = [number for number in column.numeric if number is not None]
    return f"numbers from {min(numbers):g} to {max(numbers):g}" if numbers else "numbers"


class _Chooser:
    """Chooses columns of a source one after another. No column is chosen twice."""

    def __init__(self, table: Table, column_names: Mapping[str, str]) -> None:
        self.said, self.form = column_names, table.form
        double = table.aliases.keys() - {*column_names.values()}
        self.columns = {
            name: Column.of(table, name) for name in table.columns if name not in double
        }
        self.lists = [column for column in self.columns.values() if column.has_lists]
        self.partitions = names.in_columns(table)
        self.choices: dict[str, Choice] = {}
        self.reserved: set[str] = set()

    def reserve(self, kinds: Mapping[str, Kind]) -> None:
        """Reserve a column that has exactly a task's column name and looks like its gold."""
        self.reserved = {
            name
            for name, kind in kinds.items()
            if name in self.columns
            and name not in self.said
            and looks_like(self.columns[name], kind, self.lists)
        }

    def gold(self, name: str, kind: Kind) -> None:
        """Choose the column of a task's gold."""

        def could(column: Column) -> bool:
            if kind.spans and (column.entities or column.marks):
                return True
            if kind.of_words and column.items.total() <= len(column.values):
                return False
            if kind.of_words:
                return any(
                    other is not column and pairs.parallel(column, other) for other in self.lists
                )
            single = column.one_value and not column.several
            return single if kind.one_label else pairs.could_be(column, kind)

        def fits(column: Column) -> bool:
            numbers = NUMBERS & words_of(column.name) and not is_called(column.name, kind.usual)
            other = kind.one_label and (column.name in self.partitions or numbers)
            return looks_like(column, kind, self.lists) and not other

        never = {name for name, column in self.columns.items() if column.entities}
        if kind.of_words:
            never = {"ner_tags"} if kind.spans and self._has_plain_tags() else set()
        self._choose(
            name,
            (name, *kind.usual),
            fits,
            could,
            lambda column: reason(column, kind),
            never,
        )

    def _has_plain_tags(self) -> bool:
        """Whether the tags of a file with one token per line, which has no names of columns, are
        not tags of entities: no tag is ``O`` or has a prefix.
        """
        tags = self.columns.get("ner_tags")
        if self.form is None or self.form.tagged or tags is None:
            return False
        prefixed = any("-" in tag or "_" in tag or tag == "O" for tag in tags.items)
        return not prefixed and pairs.is_plain_tags(tags, self.lists)

    def words_of(self, tasks: Iterable[str]) -> None:
        """Choose the column of the words to which the tasks' gold belongs."""
        chosen = [self.choices[name].column for name in tasks if name in self.choices]
        tagged = next((self.columns[name] for name in chosen if name in self.columns), None)
        if tagged is not None and tagged.marks and not tagged.tags:
            self.choices["tokens"] = Choice(
                "tokens", tagged.name, "since entities are marked in it"
            )
        elif tagged is not None and tagged.entities:
            self._choose(
                "tokens",
                NAMES["text"],
                lambda column: column.text and not column.label,
                lambda column: column.one_value,
                lambda column: "the text of the entities",
            )
        elif tagged is not None:
            self._choose(
                "tokens",
                NAMES["tokens"],
                lambda column: (
                    column.worded
                    and not self._is_gold(column)
                    and not all(map(str.isdigit, column.items))
                    and pairs.parallel(column, tagged)
                ),
                lambda column: column.has_lists,
                lambda column: "as many words as tags",
            )

    def words_or_text(self) -> None:
        """Choose the column that tasks of whole sentences read: words, or else text."""
        if not self._reads_text():
            self._choose(
                "tokens",
                NAMES["tokens"],
                self._has_words,
                lambda column: column.has_lists,
                lambda column: "lists of words",
            )
        if "tokens" not in self.choices:
            self._choose(
                "text",
                NAMES["text"],
                lambda column: column.text and not column.label,
                lambda column: column.one_value,
                lambda column: "text of several words" if column.text else "text",
            )

    def _has_words(self, column: Column) -> bool:
        return column.token_lists and not self._is_gold(column)

    def _is_gold(self, column: Column) -> bool:
        """Whether a column of lists holds tags or labels, and not words."""
        return column.tags or column.name_lists or pairs.is_plain_tags(column, self.lists)

    def _reads_text(self) -> bool:
        """Whether text is read: the user or the names of the columns say so; else, whether no
        column holds lists of words.
        """
        if self.said.keys() & {"text", "tokens"}:
            return "text" in self.said
        if self.columns.keys() & {"text", "tokens"}:
            return "text" in self.columns
        return not any(map(self._has_words, self.columns.values()))

    def _choose(
        self,
        name: str,
        names: Sequence[str],
        fits: Callable[[Column], bool],
        could: Callable[[Column], bool],
        why: Callable[[Column], str],
        never: Collection[str] = (),
    ) -> None:
        """Choose a column, if there is one.

        Args:
            name: mtlab's name of the column.
            names: usual names of such columns, likeliest first.
            fits: whether the values of a column have the right form.
            could: whether the values can be converted to the right form.
            why: the reason why the values have the right form, in words.
            never: columns that must not be chosen, even if their names fit.
        """
        if name in self.said:
            self.choices[name] = Choice(name, self.said[name])
            return
        taken = {choice.column for choice in self.choices.values()} | {*self.said.values()}
        taken |= self.reserved - {name}
        free = [column for column in self.columns.values() if column.name not in {*taken, *never}]
        fitting = sorted(
            filter(fits, free),
            key=lambda column: (rank(column.name, names), column.name.casefold() not in names),
        )
        called = [column for column in free if is_called(column.name, names)]
        ours = next((column for column in free if column.name == name), None)
        if ours is not None and (ours in fitting or could(ours) or not fitting):
            others = [column.name for column in fitting if column in called and column is not ours]
            self.choices[name] = Choice(name, name, others=tuple(others))
            return
        fitting = fitting or list(filter(could, called))[:1]  # reading it reports its mistakes
        if fitting:
            best, *rest = fitting
            by = "its name and its values" if best in called else "its values"
            others = [column.name for column in rest]
            self.choices[name] = Choice(name, best.name, f"by {by} ({why(best)})", tuple(others))
