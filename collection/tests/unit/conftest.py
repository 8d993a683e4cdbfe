"""Lets the tests use the collection that `make assembled` has put together."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / 'target/collections'))
