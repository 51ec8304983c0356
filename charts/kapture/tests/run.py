"""Runs the tests of this folder and ends with how many passed. See `run`."""

import sys
import unittest

import test_golden

if "--update" in sys.argv[1:]:
    test_golden.update()
suite = unittest.defaultTestLoader.discover(".")
result = unittest.TextTestRunner(stream=sys.stderr, verbosity=1).run(suite)
bad = len(result.failures) + len(result.errors)
print(f"{result.testsRun - bad} passed, {bad} failed, {len(result.skipped)} skipped")
sys.exit(0 if result.wasSuccessful() and not result.skipped else 1)
