"""Files with a token a line, whatever their names, read sentence by sentence; ``form.py`` finds out
what their columns are.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtlab.data.reading import brackets, lines
from mtlab.data.reading.form import CODED, DOCUMENT, MOST, RANGE, Block, cut, fits
from mtlab.data.reading.table import Form, Row, Summary, Table
from mtlab.plan.errors import Mistakes, UserError, noted, shown
from mtlab.plan.words import counted


def read(path: Path, mistakes: Mistakes, shape: Form | None, every: bool = False) -> Table:
    """The sentences of a file.

    Args:
        path: of the file.
        mistakes: a list that collects mistakes; None raises the first one.
        shape: its columns; None where they are unknown: then the first holds words, the last tags.
        every: whether each column is read, under its number, unless the form is the usual one.
    """
    form = shape or Form()

    def rows(mistakes: Mistakes, summary: Summary) -> Iterator[Row]:
        ours = ("tokens",) if form.tags is None else ("tokens", "ner_tags")
        numbered = map(str, range(1, form.width + 1)) if every and not form.usual else ()
        summary.columns.update(dict.fromkeys((*ours, *numbered)))
        yield from _Reader(path, form, every, mistakes, summary)

    return lines.table(path, rows, mistakes, "-DOCSTART-", form=form)


class _Reader:
    """Goes through the lines of a file, sentence by sentence."""

    def __init__(
        self, path: Path, form: Form, every: bool, mistakes: Mistakes, summary: Summary
    ) -> None:
        self._path, self._form, self._mistakes, self._summary = path, form, mistakes, summary
        self._every = every and not form.usual
        self._cells: Block = []
        self._lines: list[int] = []
        self._whole, self._begun = True, False
        self._left_out: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Row]:
        header = self._form.header
        for number, line in lines.lines_of(self._path):
            content = line.rstrip(" \t\r")
            if not content or content.startswith("-DOCSTART-"):
                self._summary.skipped += bool(content)
                yield from self._sentence()
                continue
            cells = cut(content, self._form.by, self._form.width)
            if self._is_comment(content, cells):
                self._left_out["comment"] += 1
            elif header:
                header, self._left_out["header"] = False, 1
            elif self._form.ranges and RANGE.fullmatch(cells[0]):
                self._left_out["range"] += 1
            else:
                self._token(number, cells)
        yield from self._sentence()
        self._note()

    def _token(self, number: int, cells: list[str]) -> None:
        self._begun = True
        try:
            self._check(cells, f"{self._path}:{number} ner_tags")
        except UserError as error:
            self._whole = False
            with noted(self._mistakes):
                raise error from None
        else:
            self._cells.append(cells)
            self._lines.append(number)

    def _check(self, cells: Sequence[str], where: str) -> None:
        """Refuse a line that has too few columns, or not as many as nearly all others."""
        if len(cells) < 2:
            raise UserError(
                f"one column ({cells[0]!r})",
                "a line holds a token and its tag",
                where=where,
                code="column-missing",
            )
        width = self._form.width
        if self._form.regular and len(cells) != width:
            raise UserError(
                f"{len(cells)} columns, of which the first is {shown(cells[0])}; other lines have {width}",
                f"write {width} columns",
                where=where,
                code="malformed",
            )

    def _is_comment(self, content: str, cells: Sequence[str]) -> bool:
        """Whether a line is a comment: it is between documents, or it is before a sentence, begins
        with ``#`` and does not look like a token.
        """
        if DOCUMENT.match(content):
            return True
        if self._begun or not content.startswith("#"):
            return False
        shape, apart = self._form, content[1:2] in (" ", "\t")
        if fits(cells, shape):
            comment = shape.comments >= MOST and apart and not self._left_out["here"]
        else:
            several = apart and len(content.split()) > shape.width
            odd = shape.regular and (several or content.startswith("##"))
            comment = shape.comments >= MOST / 2 or (odd and len(cells) != shape.width)
        self._left_out["here"] += comment
        return comment

    def _sentence(self) -> Iterator[Row]:
        if self._cells and self._whole:
            first, last = self._lines[0], self._lines[-1]
            apart = tuple(self._lines) if last - first >= len(self._lines) else ()
            yield Row(self._values(), str(self._path), first, line_per_token=True, lines=apart)
        self._cells, self._lines, self._whole, self._begun = [], [], True, False
        self._left_out["here"] = 0

    def _values(self) -> dict[str, list[str]]:
        form = self._form
        words = self._column(form.tokens)
        values = {"tokens": [CODED.sub("", word, 1) for word in words] if form.coded else words}
        if form.tags is not None:
            values["ner_tags"] = self._column(form.tags)
        if self._every:
            for place in range(form.width):
                same = "tokens" if place == form.tokens else ""
                values[str(place + 1)] = values[same] if same else self._column(place)
        return values

    def _column(self, place: int) -> list[str]:
        column = [_at(cells, place, self._form.width) for cells in self._cells]
        bracketed = place % self._form.width in self._form.brackets
        return list(brackets.to_tags(column)) if bracketed else column

    def _note(self) -> None:
        """Add notes on what was skipped."""
        path, notes = self._path, self._summary.notes
        if count := self._left_out["comment"]:
            notes.append(f"{path}: {counted(count, 'comment line')} before sentences skipped.")
        if count := self._left_out["range"]:
            notes.append(f"{path}: {counted(count, 'line')} skipped, whose numbers are no words'.")
        if self._form.coded:
            notes.append(f"{path}: codes of languages before words are left out, as in `en:word`.")
        if self._form.by:
            notes.append(f"{path}: columns are separated by {shown(self._form.by)}.")
        if self._left_out["header"]:
            notes.append(f"{path}: the first line names the columns and is not read.")


def _at(cells: Sequence[str], place: int, width: int) -> str:
    """The cell of a line in a column; if the line has another number of columns, the last column is
    its last cell.
    """
    if len(cells) == width or place <= 0:
        return cells[place]
    return cells[-1] if place == width - 1 else cells[min(place, len(cells) - 1)]
