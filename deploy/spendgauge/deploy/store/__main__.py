"""How does a store run by itself? ``python -m spendgauge.deploy.store --path DIR --port N``."""

import sys

from spendgauge.deploy.store.process import main

if __name__ == "__main__":
    sys.exit(main())
