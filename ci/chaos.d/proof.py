"""What every chapter checks, wherever the pipeline runs: that it recovers, and where every sale is."""

import json
import pathlib
import time

import flow
import offsets
from measurement import say

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# Limits for recovering and for draining; a busy machine is slow.
RECOVER_SECONDS = 120
DRAIN_SECONDS = 180
# No partition may hide records this long after a run.
STABLE_SECONDS = 30
LOOK_SECONDS = 0.1


class Proof:
    """A subclass provides access to the pipeline: `kafka`, `roles`, `waits_for_ready`, `account`, `recount`, `helm_test`,
    `stop_load`, `begin_load`, `weigh` for further checks at the end of a part, and `look_seconds` if polling ten times a second
    would be too expensive.
    """

    look_seconds = LOOK_SECONDS

    def __init__(self, outcome):
        self.outcome = outcome

    def within(self, seconds, holds):
        """Waits until the condition holds; false if it doesn't in time."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() >= deadline:
                return False
            time.sleep(self.look_seconds)
        return True

    def all_within(self, seconds, waits, what):
        """Waits until each condition has held once."""

        def holds():
            waits[:] = [wait for wait in waits if not wait()]
            return not waits

        came = self.within(seconds, holds)
        if not came:
            self.outcome.problem(f"{what}: not recovered within {seconds} s: {self.state()}")
        return came

    def recovered(self, fault, since=None):
        """Waits until all are ready and every role has passed what was acknowledged by now."""
        since = since or time.monotonic()
        if self.all_within(RECOVER_SECONDS, [flow.Chain(self.kafka, self.roles()).passed, *self.waits_for_ready()], fault.name):
            fault.seconds.append(time.monotonic() - since)

    def state(self):
        account = self.account()
        late = {stage: tally["late"] for stage, tally in account["stages"].items()} if account else "unknown"
        return f"late by stage: {late}"

    def settle(self, part):
        """Ends a part: stops the load, drains everything, counts all sales, and restarts the load."""
        self.stop_load()
        account = self.drained()
        if account:
            earlier = [earlier.account.now for earlier in self.outcome.parts if earlier.account and earlier.where is self]
            part.take(flow.Account(account, earlier[-1] if earlier else None), self)
            self.judge(part, account)
        self.weigh(part)
        self.begin_load()

    def drained(self):
        """The live auditor's account, when nothing is in flight any more."""
        deadline, last = time.monotonic() + DRAIN_SECONDS, None
        while time.monotonic() < deadline:
            before, last = last, self.account()
            # Must be the same twice, because the last acknowledgements are published a second later.
            if before and last and flow.complete(last) and before["stages"] == last["stages"]:
                return last
            time.sleep(3)
        self.outcome.problem(f"not drained within {DRAIN_SECONDS} s: {self.state()}")
        return last

    def judge(self, part, account):
        wrong = lambda words: self.outcome.problem(f"{part.name}: {words}")
        for field, count in part.account.found.items():
            if count:
                findings = [f"{one['stage']} {one['kind']} {one['what']}" for one in account["findings"]]
                wrong(f"{count} {field}, such as {findings[:3]}")
        stuck = {}

        def stable():
            nonlocal stuck
            try:
                stuck = self.kafka.stuck()
            except offsets.Unanswered as err:
                stuck = err
            return not stuck

        if not self.within(STABLE_SECONDS, stable):
            wrong(f"records are hidden behind a transaction that never ended: {stuck}")
        test = self.helm_test()
        if test.returncode:
            wrong(f"helm test fails: {test.stdout[-2000:]}{test.stderr[-2000:]}")
        counted = self.recount()
        if counted.returncode:
            wrong(f"the recount fails: {counted.stdout[-2000:]}{counted.stderr[-2000:]}")
        else:
            for difference in flow.differences(account, json.loads(counted.stdout)):
                wrong(difference)
        found = part.account.found
        say(f"account: {part.account.sent:,} sent, {found['lost']} lost, {found['duplicate']} duplicated, {part.account.unknown} unknown")
