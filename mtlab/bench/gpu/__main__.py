"""``python -m mtlab.bench.gpu [--parts NAME ...] [--dry-run]``: everything that needs a GPU, the
most important first.

Each part writes its result to ``gpu.json`` and the page ``gpu.md`` when it ends. A part that fails
gives its reason, and the others still run.
"""

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from mtlab.bench.gpu import page
from mtlab.bench.gpu.parts import PARTS, attempt, facts
from mtlab.bench.gpu.setting import Setting
from mtlab.record.files import write_atomically


def main() -> int:
    """The entry point; the exit status is 1 where a part failed, and 2 without a GPU."""
    parser = argparse.ArgumentParser(prog="make gpu ARGS=...", description=__doc__)
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=list(PARTS),
        metavar="NAME",
        help=f"some of: {' '.join(PARTS)}",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="tiny sizes on the CPU: does every part go through?"
    )
    parser.add_argument("--snips", type=Path, help="the folder of SNIPS, for the part `snips`")
    parser.add_argument(
        "--out", type=Path, default=Path("reports/gpu"), help="where results go (reports/gpu)"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=9.0,
        help="when a part that still runs is cut off, and no other begun (9)",
    )
    options = parser.parse_args()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # the exit also ends child processes
    import torch

    if not options.dry_run and not torch.cuda.is_available():
        print(
            "mtlab: device: torch finds no GPU here; `make gpu ARGS=--dry-run` rehearses on the CPU",
            file=sys.stderr,
        )
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    setting = Setting(
        options.out, options.dry_run, options.snips, time.monotonic() + 60 * options.minutes
    )
    result = _before(setting)
    for name in options.parts:
        began = time.perf_counter()
        print(f"{name} ...", flush=True)
        outcome = attempt(PARTS[name], setting)
        result["parts"][name] = {**outcome, "part_s": time.perf_counter() - began}
        write_atomically(options.out / "gpu.json", json.dumps(result, indent=1) + "\n")
        page.write(options.out)
        print(
            f"{name}: {outcome.get('failed', 'done')}, {result['parts'][name]['part_s']:.0f} s",
            flush=True,
        )
    print(f"written: {options.out}/gpu.md")
    return int(any('"failed"' in json.dumps(result["parts"][name]) for name in options.parts))


def _before(setting: Setting) -> dict[str, Any]:
    """The results of parts that ran before on the same machine; empty on another machine."""
    file, now = setting.out / "gpu.json", facts(setting)
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
        same = before["facts"] == now
    except (OSError, ValueError, KeyError):
        same = False
    return before if same else {"facts": now, "parts": {}}


if __name__ == "__main__":
    sys.exit(main())
