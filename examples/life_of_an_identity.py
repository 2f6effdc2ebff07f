"""The life of an identity, on three nodes: `make demo`, or `python examples/life_of_an_identity.py [--json]`.

From the first start to the removal of a member and after it; `examples/life/` holds the acts in their order:
`founding`, `removal`, `ending`.
"""

import sys
from pathlib import Path

if __package__ in {None, ""}:  # run as a file, which puts this folder on the path, and not the one above
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from examples.life.program import main

if __name__ == "__main__":
    sys.exit(main())
