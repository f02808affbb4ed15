"""How does a stack run by itself? ``python -m spendgauge.deploy.stack``, with the settings of the environment."""

import sys

from spendgauge.deploy.stack.running import main

if __name__ == "__main__":
    sys.exit(main())
