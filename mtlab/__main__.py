"""``python -m mtlab``: the program ``mtlab``, for launchers that start modules."""

import sys

from mtlab.supervise import program

if __name__ == "__main__":
    sys.exit(program())
