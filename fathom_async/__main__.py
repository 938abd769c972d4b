"""``python -m fathom_async`` is the command ``fathom``."""

import sys

from fathom_async._cli import main

if __name__ == "__main__":
    sys.exit(main())
