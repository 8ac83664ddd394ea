import sys
from pathlib import Path

# A module beside this one (brute_force) is imported by name.
sys.path.insert(0, str(Path(__file__).parent))
