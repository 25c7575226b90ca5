"""The operator's commands behind ./rinha."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
