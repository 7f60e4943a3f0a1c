"""Payloads that leave a mark where anything runs them, and files that carry them."""

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from pyarrow import parquet

Attack = Callable[[Path, Path], object]
"""Changes a directory so that whoever runs what lies there makes the marker."""

YES = "yes\n" * 20
"""What a user types who is asked whether code may run."""


class Bomb:
    """Unpickling makes a directory."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def pickled(marker: Path) -> bytes:
    return pickle.dumps({"embeddings.weight": Bomb(marker)})


def torch_file(marker: Path) -> bytes:
    """A checkpoint as ``torch.save`` writes it."""
    file = io.BytesIO()
    torch.save({"embeddings.weight": Bomb(marker)}, file)
    return file.getvalue()


def code(marker: Path) -> str:
    """Source that makes the marker when it is imported, and can be called whatever is asked of
    it."""
    return f"import os\nos.makedirs({str(marker)!r}, exist_ok=True)\ndef __getattr__(name):\n    return object\n"


def contents(directory: Path) -> dict[str, str]:
    """Every file below a directory with a digest, links as what they lead to; folders too."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = (
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
            )
    return found


# safetensors


def safetensors(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + body


def taken_apart(content: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def tampered(content: bytes) -> dict[str, bytes]:
    """A file of weights, changed in every way that a careless reader would fall for."""
    header, body = taken_apart(content)
    first, second, *_ = [name for name in header if name != "__metadata__"]
    end = header[first]["data_offsets"][1]

    def with_first(**fields: Any) -> bytes:
        return safetensors(
            json.dumps({**header, first: {**header[first], **fields}}).encode(), body
        )

    whole = json.dumps(header).encode()
    return {
        "a length past all": safetensors(whole, body, 2**63),
        "a length past the end": safetensors(whole, body, len(content) * 2),
        "a length of none": safetensors(whole, body, 0),
        "a header that is not JSON": safetensors(b"\x80" + whole[1:], body),
        "a header nested deeply": safetensors(b'{"a":' * 50_000, body),
        "overlapping offsets": with_first(data_offsets=header[second]["data_offsets"]),
        "offsets past the end": with_first(data_offsets=[len(body), len(body) + end]),
        "offsets the wrong way round": with_first(data_offsets=[end, 0]),
        "negative offsets": with_first(data_offsets=[-end, 0]),
        "a name twice": safetensors(
            whole[:-1] + f', "{first}": {json.dumps(header[second])}}}'.encode(), body
        ),
        "another dtype": with_first(dtype="F64"),
        "no dtype": with_first(dtype="EVIL"),
        "another shape": with_first(shape=[1, 1, *header[first]["shape"]]),
        "a shape past all": with_first(shape=[2**62, 4]),
        "half a body": content[: len(content) // 2],
        "nothing": b"",
    }


# data


def with_extension_type(path: Path, marker: Path) -> None:
    """Columns of a type that old pyarrow unpickled: Parquet, or Arrow where the file is called
    so."""
    extension = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickled(marker),
    }
    rows = {"tokens": [["a", "b"]] * 12, "ner_tags": [["O", "B-x"]] * 12, "label": ["x", "y"] * 6}
    table = pa.table({name: pa.array([*values]) for name, values in rows.items()})
    table = table.cast(pa.schema([field.with_metadata(extension) for field in table.schema]))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)


def with_metadata(path: Path, said: bytes) -> None:
    """A Parquet file that says of its own columns what it likes."""
    table = pa.table({"tokens": [["a"]], "ner_tags": [["O"]], "label": ["x"]})
    parquet.write_table(table.replace_schema_metadata({"huggingface": said}), path)


def archive(path: Path, **members: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


def object_arrays(path: Path, marker: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, tokens=np.array([Bomb(marker)], dtype=object), allow_pickle=True)
