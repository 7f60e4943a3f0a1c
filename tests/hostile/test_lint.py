"""What mtlab's source may not hold, read from its syntax."""

import ast
from collections.abc import Iterator
from pathlib import Path

import mtlab

ROOT = Path(mtlab.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "yaml",
    "pdb",
    "code",
    "codeop",
    "telnetlib",
}
NAMES = {"eval", "exec", "compile", "__import__", "breakpoint"}
CALLS = {
    "torch.load", "torch.hub", "os.system", "os.popen", "yaml.load", "pd.read_pickle", "pandas.read_pickle", "numpy.load", "np.load",
    "subprocess.getoutput", "subprocess.getstatusoutput", "tempfile.mktemp", "runpy.run_path", "runpy.run_module",
}  # fmt: skip
KEYWORDS = {
    "allow_pickle": True,
    "shell": True,
    "trust_remote_code": ...,
    "weights_only": False,
    "verify": False,
}
"""Keywords, and the value that is refused; any where there is an ellipsis."""


def offences(source: str) -> Iterator[str]:
    """What a source holds of all that, as ``line: what``."""
    for node in ast.walk(ast.parse(source)):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name for name in names if name.partition(".")[0] in MODULES or name in CALLS]
        elif isinstance(node, ast.Attribute):
            found = [name for name in [ast.unparse(node)] if name in CALLS]
        elif isinstance(node, ast.Name):
            found = [node.id] if node.id in NAMES else []
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "input":
            found = ["input"]
        elif isinstance(node, ast.keyword) and node.arg in KEYWORDS:
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            found = [node.arg] if KEYWORDS[node.arg] in (..., value) else []
        elif isinstance(node, ast.Constant) and node.value == "trust_remote_code":
            found = ["trust_remote_code"]
        yield from (f"{node.lineno}: {name}" for name in found)


def test_nothing_reads_code_or_runs_text() -> None:
    assert len(FILES) > 100
    assert [
        f"{file.relative_to(ROOT)}:{offence}"
        for file in FILES
        for offence in offences(file.read_text(encoding="utf-8"))
    ] == []


SEEN = """
import pickle
import os, joblib.parallel
from dill import load
from torch import load as read
import torch as torch
def late():
    import marshal
torch.load("x")
torch.hub.load("x")
reader = torch.load
eval("1"); exec("1")
model.from_pretrained("x", trust_remote_code=False)
arguments = {"trust_remote_code": True}
np.load("x", allow_pickle=True)
run("x", shell=True)
os.system("x")
found = load("x", weights_only=False)
name = input()
"""


def test_the_lint_sees_what_it_looks_for() -> None:
    lines = {int(found.partition(":")[0]) for found in offences(SEEN)}
    assert lines == set(range(2, 20)) - {6, 7}
    assert not list(
        offences(
            "model.eval()\nre.compile('x')\nrun('x', shell=False)\nload('x', weights_only=True)\n"
        )
    )
