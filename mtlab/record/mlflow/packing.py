"""Writes an exported model in MLflow's format, with the code that loads it and without a pickle."""

import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import mtlab

CODE = (
    "__init__.py",
    "data/__init__.py",
    "data/reading/__init__.py",
    "data/reading/words.py",
    "export/__init__.py",
    "export/reader.py",
    "export/served.py",
    "model/__init__.py",
    "model/losses.py",
    *(
        f"tasks/{file.name}"
        for file in sorted((Path(mtlab.__file__).parent / "tasks").glob("*.py"))
    ),
)
"""The files of the package that read sentences with an exported model."""

NEEDED = ("torch", "transformers", "safetensors", "regex", "numpy")
"""The libraries that these files import."""


def pack(folder: Path, to: Path, model_id: str) -> None:
    """Write an exported model as a folder that ``mlflow.pyfunc.load_model`` takes.

    Args:
        folder: the folder that `mtlab export` wrote.
        to: the folder to write; it must not exist.
        model_id: MLflow's name for it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its own type hints
        import mlflow.pyfunc
        from mlflow.models import Model

    root = Path(mtlab.__file__).parent
    with tempfile.TemporaryDirectory() as scratch:
        code = Path(scratch) / "mtlab"
        for name in CODE:
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, code / name)
        mlflow.pyfunc.save_model(
            path=str(to),
            loader_module="mtlab.export.served",
            data_path=str(folder),
            code_paths=[str(code)],
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in NEEDED],
            mlflow_model=Model(model_id=model_id),
        )
