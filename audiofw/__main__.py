"""``python -m audiofw`` runs the command ``audiofw``."""

import sys

from audiofw.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
