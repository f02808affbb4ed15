"""How do I run a provider by hand? ``python -m tests.providers anthropic --port 0`` says where it listens."""

import argparse
import signal

from tests.providers.server import APIS, play


def main() -> None:
    """Play a provider until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.providers", description="Play an LLM provider.")
    parser.add_argument("api", choices=sorted(APIS), nargs="?", help="which one; all, where none is named")
    parser.add_argument("--port", type=int, default=0, help="where to listen; 0 takes a free port")
    given = parser.parse_args()
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with play(*([given.api] if given.api else []), port=given.port) as played:
        print(f"listening on {played.url}", flush=True)
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
