"""The operator's command line; `python starter.py --help` lists what it can do."""

import sys

from console.main import main

if __name__ == "__main__":
    sys.exit(main())
