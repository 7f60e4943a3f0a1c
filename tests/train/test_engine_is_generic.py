"""No code knows a scenario: what the experiment files that ship call their scenarios stands nowhere
in the package."""

import ast
from pathlib import Path

from mtlab.plan import colours, yaml_file

ROOT = Path(__file__).parents[2]


def names() -> set[str]:
    files = (ROOT / "experiments").glob("*.yaml")
    return {
        name
        for file in files
        if file.name != colours.FILE
        for name in yaml_file.read(file).value["scenarios"]
    }


def test_the_shipped_files_have_the_five_the_control_and_both_sub_cases() -> None:
    assert {
        "fully_frozen",
        "backbone_frozen",
        "classifier_head_frozen",
        "ner_head_frozen",
        "gradual_unfreeze",
        "full_finetune",
        "classifier_head_and_backbone_frozen",
        "ner_head_and_backbone_frozen",
    } <= names()


def test_no_code_names_a_scenario() -> None:
    scenarios = names()
    files = sorted((ROOT / "mtlab").rglob("*.py"))
    assert len(files) > 100
    assert {file: used for file in files if (used := words(file) & scenarios)} == {}


def words(path: Path) -> set[str]:
    """The identifiers of a source file, and the words of its strings but those of docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    strings = {
        word
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documentation
        for word in node.value.replace("'", " ").replace("`", " ").split()
    }
    identifiers = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return strings | identifiers
