"""`python -m meroid.cli.meroctl`."""

import sys

from meroid.cli.meroctl.program import main

sys.exit(main())
