"""Data and experiment files of strangers: nothing is run, nothing outside is read, and what is no
data is one line."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from mtlab.data import sources
from mtlab.plan.errors import UserError
from mtlab.plan.experiment import Data, load
from tests import tiny
from tests.hostile import attacks
from tests.hostile.attacks import Attack
from tests.hostile.conftest import Run

ROWS = "tokens,ner_tags,label\n" + "".join(
    f"a{number} b,O B-x,{'xy'[number % 2]}\n" for number in range(12)
)
SPLITS = ("train", "validation", "test")


def emptied(directory: Path) -> Path:
    for path in directory.iterdir():
        path.unlink()
    return directory


def script(directory: Path, marker: Path) -> None:
    for name in (f"{directory.name}.py", "train.py", "__init__.py", "conftest.py", "datasets.py"):
        (directory / name).write_text(attacks.code(marker))


def script_in_the_hubs_layout(directory: Path, marker: Path) -> None:
    (directory / "data").mkdir()
    for split in SPLITS:
        (directory / f"{split}.jsonl").rename(directory / "data" / f"{split}.jsonl")
    script(directory, marker)


def pickles_beside(directory: Path, marker: Path) -> None:
    for name in (
        "train.pkl",
        "train.pickle",
        "test.npy",
        "validation.pt",
        "train.joblib",
        "cache.dill",
    ):
        (directory / name).write_bytes(attacks.pickled(marker))
    attacks.object_arrays(directory / "train.npz", marker)


def only_arrays(directory: Path, marker: Path) -> None:
    attacks.object_arrays(emptied(directory) / "train.npz", marker)
    np.save(
        directory / "test.npy", np.array([attacks.Bomb(marker)], dtype=object), allow_pickle=True
    )


def only_pickles(directory: Path, marker: Path) -> None:
    (emptied(directory) / "data").mkdir()
    for split in SPLITS:
        (directory / "data" / f"{split}.pkl").write_bytes(attacks.pickled(marker))


def pickled_parquet(directory: Path, marker: Path) -> None:
    (emptied(directory) / "train.parquet").write_bytes(attacks.pickled(marker))


def extension_type(directory: Path, marker: Path) -> None:
    for split in SPLITS:
        attacks.with_extension_type(
            emptied(directory) / f"{split}.parquet"
            if split == "train"
            else directory / f"{split}.parquet",
            marker,
        )


def extension_type_in_arrow(directory: Path, marker: Path) -> None:
    for split in SPLITS:
        attacks.with_extension_type(directory / "data" / f"{split}.arrow", marker)
        (directory / f"{split}.jsonl").unlink()


def dates_past_all(directory: Path, marker: Path) -> None:
    table = pa.table(
        {"tokens": pa.array([2**62], pa.date64()), "ner_tags": [["O"]], "label": ["x"]}
    )
    parquet.write_table(table, emptied(directory) / "train.parquet")


def dates_past_all_in_the_hubs_layout(directory: Path, marker: Path) -> None:
    dates_past_all(directory, marker)
    (directory / "data").mkdir()
    (directory / "train.parquet").rename(directory / "data" / "train.parquet")
    (directory / "README.md").write_text(
        "---\nconfigs: [{config_name: default, data_files: data/train.parquet}]\n---\n"
    )


def columns_that_are_no_text(directory: Path, marker: Path) -> None:
    attacks.with_metadata(emptied(directory) / "train.parquet", attacks.pickled(marker))


def columns_of_no_kind(directory: Path, marker: Path) -> None:
    features = {"info": {"features": {"label": {"_type": "__import__", "id": "os"}}}}
    attacks.with_metadata(emptied(directory) / "train.parquet", json.dumps(features).encode())


def saved_to_disk(directory: Path, marker: Path) -> None:
    attacks.with_extension_type(emptied(directory) / "data-00000-of-00001.arrow", marker)
    (directory / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "../../outside.arrow"}], "_format_type": "torch"})
    )
    (directory / "dataset_info.json").write_text(
        json.dumps({"builder_name": "../evil", "features": {"x": {"_type": "os.system"}}})
    )


def saved_to_disk_of_no_kind(directory: Path, marker: Path) -> None:
    saved_to_disk(directory, marker)
    (directory / "state.json").write_text(
        json.dumps(
            {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_format_type": "torch"}
        )
    )


def described_elsewhere(directory: Path, marker: Path) -> None:
    script_in_the_hubs_layout(directory, marker)
    for path in directory.glob("*.py"):
        path.unlink()
    (directory / "dataset_infos.json").write_text(
        json.dumps({"default": {"builder_name": "../evil", "features": {"_type": "os.system"}}})
    )


def pickles_in_a_tar(directory: Path, marker: Path) -> None:
    (emptied(directory) / "data").mkdir()
    for split in SPLITS:
        with tarfile.open(directory / "data" / f"{split}.tar", "w") as file:
            for name in (
                "0.pkl",
                "0.pyd",
                "0.npy",
                "0.pth",
                f"../../../{marker.name}.json",
                str(marker),
            ):
                content = attacks.pickled(marker)
                member = tarfile.TarInfo(name)
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))


def zip_with_paths(directory: Path, marker: Path) -> None:
    names = {f"{'../' * 12}{str(marker).lstrip('/')}": b"x", str(marker): b"x"}
    attacks.archive(
        emptied(directory) / "data" / "train.zip", **names, **{"train.csv": ROWS.encode()}
    )


def carded(directory: Path, card: str) -> None:
    (emptied(directory) / "README.md").write_text(f"---\n{card}\n---\n")
    (directory / "rows.csv").write_text(ROWS)


def card_with_objects(directory: Path, marker: Path) -> None:
    carded(directory, f"configs: !!python/object/apply:os.mkdir ['{marker}']")


def card_that_grows(directory: Path, marker: Path) -> None:
    levels = [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)
    ]
    carded(directory, "\n".join(["a0: &a0 [x]", *levels, "configs: *a11"]))


def card_of_files_elsewhere(directory: Path, marker: Path) -> None:
    (directory.parent / "elsewhere.csv").write_text(ROWS)
    files = ", ".join(
        f"{{split: {split}, path: {directory.parent}/elsewhere.csv}}" for split in SPLITS
    )
    carded(directory, f"configs: [{{config_name: default, data_files: [{files}]}}]")


def card_of_files_above(directory: Path, marker: Path) -> None:
    (directory.parent / "elsewhere.csv").write_text(ROWS)
    files = ", ".join(f"{{split: {split}, path: ../elsewhere.csv}}" for split in SPLITS)
    carded(directory, f"configs: [{{config_name: default, data_files: [{files}]}}]")


def card_of_an_address(directory: Path, marker: Path) -> None:
    files = ", ".join(
        f"{{split: {split}, path: 'http://user:S3CRET@127.0.0.1:9/x.csv'}}" for split in SPLITS
    )
    carded(directory, f"configs: [{{config_name: default, data_files: [{files}]}}]")


def card_of_archives(directory: Path, marker: Path) -> None:
    carded(directory, "configs: [{config_name: default, data_files: 'zip://*.csv::x.zip'}]")


def card_of_a_folder_above(directory: Path, marker: Path) -> None:
    carded(directory, "configs: [{config_name: default, data_dir: a/../../elsewhere}]")


def card_that_is_no_sense(directory: Path, marker: Path) -> None:
    carded(directory, f"configs: [{{config_name: default, data_dir: {'[' * 5000}")


ATTACKS: list[tuple[Attack, str]] = [
    (script, ""),
    (script_in_the_hubs_layout, ""),
    (pickles_beside, ""),
    (only_arrays, "no data files that could be read"),
    (only_pickles, "no data files that could be read"),
    (pickled_parquet, "not a Parquet file (ArrowInvalid)"),
    (extension_type, ""),
    (extension_type_in_arrow, ""),
    (dates_past_all, "not a Parquet file (OverflowError)"),
    (dates_past_all_in_the_hubs_layout, "values that cannot be read (OverflowError)"),
    (columns_that_are_no_text, "what it says of its own columns cannot be read"),
    (columns_of_no_kind, "what it says of its own columns cannot be read"),
    (saved_to_disk, "state.json names files outside of the folder; save the data set again"),
    (saved_to_disk_of_no_kind, "the files could not be read ("),
    (described_elsewhere, ""),
    (pickles_in_a_tar, "the files could not be read"),
    (zip_with_paths, "no data files that could be read"),
    (card_with_objects, "the files could not be read (ConstructorError)"),
    (card_that_grows, "README.md has aliases (`*name`); write out what they stand for"),
    (card_of_files_elsewhere, ", outside of the data set; take it out"),
    (card_of_files_above, "names '../elsewhere.csv', outside of the data set; take it out"),
    (card_of_archives, "names 'zip://*.csv::x.zip', outside of the data set; take it out"),
    (card_of_a_folder_above, "names 'a/../../elsewhere', outside of the data set; take it out"),
    (card_that_is_no_sense, "the files could not be read ("),
    (card_of_an_address, "names 'http://127.0.0.1:9/x.csv', outside of the data set; take it out"),
]


@pytest.mark.parametrize(
    ("attack", "said"), ATTACKS, ids=lambda value: getattr(value, "__name__", "")
)
def test_data_that_would_run_something_are_read_as_data_or_refused(
    attack: Attack, said: str, attacked_data: Path, marker: Path, experiment_file: Path, run: Run
) -> None:
    attack(attacked_data, marker)
    loose = ["--data.max_duplicates", "1.0", "--data.test_fraction", "0.2"]
    status, told = run("plan", experiment_file, "--data.source", attacked_data, *loose)
    assert (status, said in told) == (2 if said else 0, True), told


HOSTILE_ROWS = [
    {
        "tokens": ["=cmd|' /C calc'!A0", "{{7*7}}"],
        "ner_tags": ["O", "B-x"],
        "label": "!!python/object/apply:os.system [x]",
    },
    {
        "tokens": ["__import__('os').system('x')", "`id`"],
        "ner_tags": ["B-x", "O"],
        "label": "$(id)",
    },
    {
        "tokens": ["../../../etc/passwd", "%2e%2e"],
        "ner_tags": ["O", "B-x"],
        "label": "${jndi:ldap://x}",
    },
    {"tokens": ["<script>", "\x1b[2J"], "ner_tags": ["B-x", "O"], "label": "' OR 1=1 --"},
]


def as_jsonl(path: Path) -> None:
    rows = [
        {
            **row,
            "py/object": "os.system",
            "__reduce__": ["os.system", "x"],
            "$ref": "file:///etc/passwd",
        }
        for row in HOSTILE_ROWS
    ]
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def as_json(path: Path) -> None:
    path.with_suffix(".json").write_text(
        json.dumps({"__proto__": {"x": 1}, "py/object": "os.system", "data": HOSTILE_ROWS})
    )


def as_csv(path: Path) -> None:
    cells = [
        [json.dumps(row["tokens"]), json.dumps(row["ner_tags"]), row["label"]]
        for row in HOSTILE_ROWS
    ]
    lines = [",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in cells]
    path.with_suffix(".csv").write_text("\n".join(["tokens,ner_tags,label", *lines]))


def as_conll(path: Path) -> None:
    rows = [zip(row["tokens"], row["ner_tags"], strict=True) for row in HOSTILE_ROWS]
    path.with_suffix(".conll").write_text(
        "\n\n".join("\n".join(f"{token}\t{tag}" for token, tag in row) for row in rows)
    )


@pytest.mark.parametrize("write", [as_jsonl, as_json, as_csv, as_conll])
def test_text_that_means_something_elsewhere_is_text(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    for split in SPLITS:
        write(tmp_path / split)
    source, labelled = {"source": str(tmp_path)}, write is not as_conll
    asked = source if labelled else {"classifier": {"source": "builtin"}, "ner": source}
    corpus = sources.load(Data.model_validate({**asked, "max_duplicates": 1.0}), tiny.TASKS, 0)
    read = [sentence for sentence in corpus.splits["test"] if labelled or sentence.source == 1]
    assert [list(sentence.tokens or ()) for sentence in read] == [
        row["tokens"] for row in HOSTILE_ROWS
    ]
    assert not labelled or [sentence.gold.get("classifier") for sentence in read] == [
        row["label"] for row in HOSTILE_ROWS
    ]


EXPERIMENT = "data: {source: here}\nscenarios: {full: [{epochs: 1, train: {all: 1.0e-4}}]}\n"
MERGED = ["m0: &m0 {p: 1, q: 1}", "w0: &w0 {<<: *m0}"]
for level in range(1, 45):  # keys that come by `<<` have no line of their own
    MERGED += [
        f"m{level}: &m{level} {{p: *w{level - 1}, q: *w{level - 1}}}",
        f"w{level}: &w{level} {{<<: *m{level}}}",
    ]
YAML_FILES = [
    EXPERIMENT + "question: !!python/object/apply:os.mkdir ['MARKER']",
    EXPERIMENT + "question: !!python/object/new:os.mkdir [MARKER]",
    EXPERIMENT + "question: !!python/name:os.system",
    EXPERIMENT + "question: !!python/module:antigravity",
    EXPERIMENT + "? !!python/object/apply:os.mkdir ['MARKER']\n: 1",
    EXPERIMENT + "!!python/object/apply:os.mkdir ['MARKER']: 1",
    EXPERIMENT + "seeds: !!python/tuple [1, 2]",
    EXPERIMENT + "seeds: !!set {1, 2}",
    EXPERIMENT + "question: !!binary aGVsbG8=",
    "%TAG ! tag:yaml.org,2002:python/object/apply:\n---\nquestion: !os.mkdir ['MARKER']\n"
    + EXPERIMENT,
    "%YAML 1.1\n---\nquestion: !!python/object/apply:os.mkdir ['MARKER']\n" + EXPERIMENT,
    "%YAML 9.9\n---\nseeds: [x]\n" + EXPERIMENT,
    EXPERIMENT + "seeds: [" + "9" * 5000 + "]",
    EXPERIMENT + "question: 2024-99-99",
    EXPERIMENT + "question: 0001-01-01T99:99:99Z",
    EXPERIMENT + "question: &a [*a]",
    EXPERIMENT + "question: &a {<<: *a}",
    EXPERIMENT + "\n".join(MERGED),
    EXPERIMENT + "extends: /dev/null",
    EXPERIMENT + "extends: /etc/hostname",
    EXPERIMENT + "extends: loop.yaml",
    EXPERIMENT + "extends: " + "x" * 300,
    "\x00\x01\x02",
]


@pytest.mark.parametrize("text", YAML_FILES, ids=lambda text: text.replace(EXPERIMENT, "")[:40])
def test_experiment_files_that_would_run_or_grow_are_one_line(
    text: str, tmp_path: Path, marker: Path
) -> None:
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "exp.yaml").write_text(text.replace("MARKER", str(marker)))
    with pytest.raises(UserError) as error:
        load(tmp_path / "exp.yaml")
    assert "\n" not in str(error.value)


def test_a_number_of_many_digits_on_the_command_line_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "exp.yaml").write_text(EXPERIMENT)
    for digits in ("9" * 5000, "2024-99-99"):
        with pytest.raises(UserError, match=r"--seeds\.0"):
            load(tmp_path / "exp.yaml", {"seeds": [digits]})
