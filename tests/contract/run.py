"""Tests of the running service by programs that know nothing of its code.

python tests/contract/run.py BINARY [--update] [--only SUITE]

Exit status 0: everything passed; 1: something failed; 2: usage.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import agreement
import columns
import document
import fuzz
import generated
import inference
import search
import tokens
import webhooks
from service import Service
from tally import Tally

ROOT = Path(__file__).resolve().parents[2]
SUITES = {
    "openapi": document.run,
    "tokens": tokens.run,
    "numpy": agreement.run,
    "tritonclient": inference.run,
    "pyarrow": columns.run,
    "search": search.run,
    "standardwebhooks": webhooks.run,
    "client": generated.run,
    # Last, because it changes what is stored.
    "schemathesis": fuzz.run,
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("--update", action="store_true", help="write openapi.json anew")
    parser.add_argument("--only", choices=SUITES, help="run this suite alone")
    words = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="contract-") as folder:
        service = Service(words.binary.resolve(), Path(folder))
        try:
            if words.update:
                document.update(service, ROOT)
            for name, suite in SUITES.items():
                if words.only in (None, name):
                    tally.begin(name)
                    start = time.monotonic()
                    with tally.step("the suite runs to its end"):
                        suite(service, tally, ROOT)
                    tally.end(time.monotonic() - start)
        finally:
            code = service.stop()
        tally.begin("service")
        with tally.step("SIGTERM drains it and it ends with 0"):
            assert code == 0, f"exit status {code}; its log ends:\n{service.log_tail()}"
        tally.end(0.0)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
