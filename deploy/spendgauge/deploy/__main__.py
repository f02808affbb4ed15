"""How is the command line run without its script? ``python -m spendgauge.deploy``."""

from spendgauge.deploy.cli import main

if __name__ == "__main__":
    main()
