"""Measures the rich twin and the poor clusters, and takes the advice."""

import capsules
import disturbances
from cases import RICH, TWIN
from release import Unavailable, installed, say, words_of
from shown import poor

# Whatever goes wrong with one cluster must not cost the others.
FAILURES = (RuntimeError, Unavailable, ValueError, KeyError, OSError)


def begun(case):
    """The record of a case before anything has run."""
    return {
        "name": case.name, "poor": None, "why": case.why, "expected": {**case.expected._asdict(), "stages": list(case.expected.stages)},
        "node": None, "runs": [], "advice": None, "lifted": None, "after": [], "not_run": None, "notes": [],
    }  # fmt: skip


class Session:
    def __init__(self, runs, mode):
        self.runs, self.mode, self.rich = runs, mode, None

    def measure_twin(self):
        twin, (degree,) = begun(TWIN), TWIN.degrees
        with installed(RICH, self.mode) as release, degree.begun(release) as disturbed:
            twin["runs"] = self.run(release, disturbed, "rich")
        self.rich = poor.capacity(twin["runs"])
        say(f"rich: {poor.number(self.rich)} sales/s")
        return twin

    def measure(self, case):
        """The record of a case, measured with the mildest degree that bites, or else the last."""
        measured = begun(case)
        try:
            for degree in case.degrees:
                if self.with_degree(case, degree, measured):
                    break
        except FAILURES as err:
            say(f"{case.name}: {err}")
            if len(measured["runs"]) < self.runs:
                measured["not_run"] = str(err)
            else:
                measured["notes"].append(f"the advice could not be taken: {err}")
        return measured

    def with_degree(self, case, degree, measured):
        """Measures one degree. False if it does not bite, and another is left."""
        say(f"--- {case.name}: {degree.words}")
        measured["poor"], measured["runs"] = degree.words, []
        with installed({**RICH, **degree.values}, self.mode) as release:
            with degree.begun(release) as disturbed:
                measured["node"] = disturbed.node
                first = self.run(release, disturbed, case.name, range(1, 2))
                if degree != case.degrees[-1] and not poor.counts({**measured, "runs": first}, self.rich):
                    measured["notes"].append(f"{degree.words} does not bite: {poor.number(poor.capacity(first))} sales/s")
                    return False
                measured["runs"] = first + self.run(release, disturbed, case.name, range(2, self.runs + 1))
                measured["advice"] = None if case.expected.never else capsules.advice(measured["runs"])
                if (measured["advice"] or {}).get("command"):
                    release.upgrade(words_of(measured["advice"]["command"]))
                    measured["after"] = self.run(release, disturbed, f"{case.name}-advised")
            if case.lift and not measured["advice"] and self.named(measured):
                # The disturbance is over.
                measured["lifted"] = case.lift
                measured["after"] = self.run(release, disturbances.Disturbed(), f"{case.name}-advised")
        if measured["advice"] and not measured["advice"]["command"]:
            self.install_with(case, degree, measured)
        return True

    def install_with(self, case, degree, measured):
        """Takes an advice that can be taken only at install; the cluster stays as poor as it is otherwise."""
        advice = measured["advice"]
        say(f"{case.name}: installing with {advice['value']}={advice['to']}")
        with installed({**RICH, **degree.values, advice["value"]: advice["to"]}, self.mode) as release, degree.begun(release) as disturbed:
            measured["after"] = self.run(release, disturbed, f"{case.name}-advised")

    def run(self, release, disturbed, name, numbers=None):
        """The runs with these numbers, or all."""
        runs = []
        for number in range(1, self.runs + 1) if numbers is None else numbers:
            disturbed.renew()
            runs.append(release.run(f"{name}-{number}"))
        return runs

    def named(self, measured):
        return any(poor.outcome(run, measured) == poor.Outcome.RIGHT for run in measured["runs"])


def describe(cases):
    """What --list prints."""
    for case in cases:
        yield case.name
        for degree in case.degrees:
            yield f"    {degree.words}"
        yield f"    expected: {poor.wanted(begun(case))}"
        yield f"    {case.why}"
