"""What the tests share."""

import sys
from pathlib import Path

# Modules beside this one (clips) are imported by name.
sys.path.insert(0, str(Path(__file__).parent))
