"""Runs the tests of this folder, several classes at a time, and prints how many passed. See `run`."""

import concurrent.futures
import sys
import time
import unittest

import chart
import test_golden


def classes(suite):
    """{name: the tests of one class}."""
    found = {}
    waiting = [suite]
    while waiting:
        for test in waiting.pop():
            if isinstance(test, unittest.TestSuite):
                waiting.append(test)
            else:
                found.setdefault(f"{type(test).__module__}.{type(test).__qualname__}", []).append(test)
    return found


def run(item):
    """Runs the tests of a class, and prints and returns the result."""
    name, tests = item
    begun, result = time.monotonic(), unittest.TestResult()
    unittest.TestSuite(tests)(result)
    bad = result.failures + result.errors
    word = "FAIL" if bad else "ok"
    lines = [f"{word:4} {time.monotonic() - begun:5.0f} s {result.testsRun:3} tests  {name}"]
    lines += [f"\n{'=' * 70}\n{test}\n{why}" for test, why in bad]
    print("\n".join(lines), file=sys.stderr, flush=True)
    return result


def main():
    names = [name for name in sys.argv[1:] if name != "--update"]
    if "--update" in sys.argv[1:]:
        test_golden.update()
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(names) if names else loader.discover(".")
    with concurrent.futures.ThreadPoolExecutor(chart.AT_ONCE) as pool:
        results = list(pool.map(run, classes(suite).items()))
    tests = sum(result.testsRun for result in results)
    bad = sum(len({str(getattr(t, "test_case", t)) for t, _ in result.failures + result.errors}) for result in results)
    skipped = sum(len(result.skipped) for result in results)
    print(f"{tests - bad} passed, {bad} failed, {skipped} skipped; {chart.text.cache_info().misses} renderings")
    sys.exit(1 if bad or skipped or not tests else 0)


if __name__ == "__main__":
    main()
