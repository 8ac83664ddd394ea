"""``python -m tempo`` is ``tempo``."""

import sys

from tempo.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
