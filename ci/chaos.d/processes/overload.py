"""Sends more sales than the pipeline can handle, then half of what it can: every stage must catch up without help."""

import statistics
import time

import flow
from measurement import say

# More than this machine can generate; the loader sends as many as it can.
FLOOD_RATE = 60_000
CATCH_UP_SECONDS = 600
LOOK_SECONDS = 5
# A stage this far behind has caught up: it is the time that a sale takes on a busy machine.
ABREAST_SECONDS = 5


class Overload:
    def __init__(self, pipeline):
        self.pipeline = pipeline
        first, count = pipeline.one("loader"), len(pipeline.of("loader"))
        self.loader = lambda number, rate: pipeline.clone(first, LOADER_ORDINAL=count + number, LOADER_RATE=rate)

    def run(self, seconds):
        part = self.pipeline.outcome.part("more sales than the pipeline carries, and then half of what it carries")
        fault = part.fault(f"flooded for {seconds} s")
        flood = self.loader(0, FLOOD_RATE)
        self.pipeline.supervisor.start(flood)
        carried = self.carried(seconds)
        self.pipeline.supervisor.stop(flood)
        half = self.loader(1, carried // 2)
        say(f"the last stage carried {carried:,} sales/s; continuing with {carried // 2:,}/s; backlog: {self.behind()}")
        self.pipeline.supervisor.start(half)
        fault.times += 1
        at, chain = time.monotonic(), flow.Chain(self.pipeline.kafka, self.pipeline.roles())
        if self.pipeline.within(CATCH_UP_SECONDS, lambda: self.abreast(carried // 2, chain)):
            fault.seconds.append(time.monotonic() - at)
        else:
            self.pipeline.outcome.problem(f"not caught up within {CATCH_UP_SECONDS} s: {self.behind()}; {self.pipeline.state()}")
        self.pipeline.supervisor.stop(half)
        self.pipeline.settle(part)

    def carried(self, seconds):
        """The rate at the last stage during the flood."""
        rates, deadline = [], time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            rates += [stage["rate"] for stage in self.stages()[-1:] if stage["rate"]]
        return int(statistics.median(rates[len(rates) // 2 :])) if rates else 0

    def stages(self):
        state = self.pipeline.one("exporter").asked("/api/v1/state")
        return state["stages"] if state else []

    def behind(self):
        """Sales that the auditor has not found yet, by stage; the exporter does not know these loaders, so it has no lag."""
        account = self.pipeline.account()
        return {stage: tally["late"] for stage, tally in account["stages"].items()} if account else None

    def abreast(self, rate, chain):
        time.sleep(LOOK_SECONDS)
        late = self.behind()
        few = late is not None and max(late.values()) <= ABREAST_SECONDS * rate
        return chain.passed() and few and all(ready() for ready in self.pipeline.waits_for_ready())
