"""Lets the tests of the documentation import their reading of it."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
