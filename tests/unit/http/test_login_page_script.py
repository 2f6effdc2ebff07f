"""What the log-in page decides, run by Node.js."""

import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1] / "page" / "flow.test.mjs"


@pytest.mark.needs("node")
def test_the_script_of_the_page_decides_rightly() -> None:
    done = subprocess.run(["node", "--test", str(TESTS)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
