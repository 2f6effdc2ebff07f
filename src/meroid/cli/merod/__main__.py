"""Runs `merod` as `python -m meroid.cli.merod`."""

import sys

from meroid.cli.merod import main

sys.exit(main())
