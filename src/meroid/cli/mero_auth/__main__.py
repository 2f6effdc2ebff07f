"""Runs `mero-auth` as `python -m meroid.cli.mero_auth`."""

import sys

from meroid.cli.mero_auth import main

sys.exit(main())
