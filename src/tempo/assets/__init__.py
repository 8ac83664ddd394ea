"""What comes with the package: the embedded model, its base, and photographs for the drawn world."""

from pathlib import Path

NANO = Path(__file__).parent / "nano"
