"""What comes with the package: the embedded model, its base, the architectures of larger ones without their
weights, and photographs for the drawn world."""

from pathlib import Path

NANO = Path(__file__).parent / "nano"
ARCHITECTURES = Path(__file__).parent / "architectures"
