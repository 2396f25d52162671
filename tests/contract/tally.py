"""Counts of what passed and what failed, and the one line of each suite."""

import contextlib
import traceback
from collections.abc import Iterator


class Tally:
    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self._suite = ""
        self._before = (0, 0)
        self._notes: list[str] = []

    def begin(self, suite: str) -> None:
        self._suite = suite
        self._before = (self.passed, self.failed)
        self._notes = []

    def note(self, text: str) -> None:
        """Something to be told in the suite's line."""
        self._notes.append(text)

    def end(self, seconds: float) -> None:
        passed, failed = self.passed - self._before[0], self.failed - self._before[1]
        notes = "".join(f"; {n}" for n in self._notes)
        print(f"{self._suite}: {passed} passed, {failed} failed in {seconds:.1f} s{notes}", flush=True)

    @contextlib.contextmanager
    def step(self, sentence: str) -> Iterator[None]:
        """Passes unless its body raises."""
        try:
            yield
        except Exception as why:
            self.fail(sentence, str(why) if isinstance(why, AssertionError) and str(why) else traceback.format_exc())
        else:
            self.passed += 1

    def fail(self, sentence: str, why: str) -> None:
        self.failed += 1
        print(f"FAILED {self._suite}: {sentence}\n{why.rstrip()}", flush=True)
