"""``python experiments/many_tasks.py SNIPS FOLDER``: SNIPS with four things to learn of each sentence,
for ``many_tasks.yaml``. Two of them follow from the slots: which types occur, and how many words are
in slots.
"""

import json
import sys
from pathlib import Path


def with_more(line: str) -> str:
    """A sentence with its four columns."""
    row = json.loads(line)
    slots = row["ner_tags"]
    more = {
        "tokens": row["tokens"],
        "intent": row["label"],
        "slots": slots,
        "slot_types": sorted({tag[2:] for tag in slots if tag != "O"}),
        "slot_words": sum(tag != "O" for tag in slots),
    }
    return json.dumps(more, ensure_ascii=False) + "\n"


def main(source: Path, target: Path) -> None:
    """Write the three splits."""
    target.mkdir(parents=True, exist_ok=True)
    for split in ("train", "validation", "test"):
        with (source / f"{split}.jsonl").open(encoding="utf-8") as lines:
            text = "".join(map(with_more, lines))
        (target / f"{split}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
