"""Stops programs until Kafka has given their work to others, and then continues them in the middle of a write."""

import signal
import time

from proof import RECOVER_SECONDS
from results import Fault, Kind

from .pipeline import BEHIND_SECONDS

# Kafka aborts a transaction after 10 s, and checks for such transactions every 10 s.
BEYOND_TRANSACTION_SECONDS = 22
# A group member that is silent for 10 s loses its partitions.
BEYOND_SESSION_SECONDS = 13
# Some thirty transactions of the other fan-out.
HELD_UP_SECONDS = 3


class Pauses:
    def __init__(self, pipeline, random):
        self.pipeline, self.random = pipeline, random

    def run(self, times):
        part = self.pipeline.outcome.part("programs stopped in the middle of their work, and continued")
        for _ in range(times):
            time.sleep(self.random.uniform(0, 1))
            self.pause_one_of_each(part)
            self.pause_replaced(part.fault("etl-fan-out stopped, and replaced by another of its name", Kind.FENCING))
        self.pipeline.settle(part)

    def pause_one_of_each(self, part):
        """Others take over in the meantime; when the stopped ones continue, Kafka and the stores must refuse their writes."""
        fan_out, before = self.stopped_in_a_transaction()
        zombies = [self.pipeline.one(role) for role in self.pipeline.roles() if role != "etl-fan-out"]
        began = time.monotonic()
        for zombie in zombies:
            zombie.signal(signal.SIGSTOP)
        time.sleep(BEHIND_SECONDS)
        paused = lambda zombie, kind: part.fault(f"{zombie.component} stopped for {BEYOND_TRANSACTION_SECONDS} s", kind)
        faults = {fan_out: paused(fan_out, Kind.FENCING), **{zombie: paused(zombie, Kind.OTHER) for zombie in zombies}}
        waits = [self.pipeline.passed(fault, zombie.component, began) for zombie, fault in faults.items()]
        self.pipeline.all_within(RECOVER_SECONDS, waits, "the other instances, while these are stopped")
        time.sleep(max(0, BEYOND_TRANSACTION_SECONDS - (time.monotonic() - began)))
        for zombie in faults:
            zombie.signal(signal.SIGCONT)
        self.pipeline.recovered(part.fault("all of them continued"))
        part.fault("all of them continued").times += 1
        # What the others send to a store is refused by the position there, and not by Kafka.
        self.must_be_fenced(faults[fan_out], fan_out, before)

    def stopped_in_a_transaction(self):
        """Stops the first fan-out with a transaction open, which blocks readers until Kafka aborts it. Returns it, and how often it
        had been fenced by then.
        """
        fan_out, kafka = self.pipeline.one("etl-fan-out"), self.pipeline.kafka
        while True:
            before = fan_out.fencing()
            fan_out.signal(signal.SIGSTOP)
            stuck = kafka.stuck()
            time.sleep(HELD_UP_SECONDS)
            if before and any(where in stuck and stuck[where][0] == stable for where, (stable, _) in kafka.stuck().items()):
                return fan_out, before
            # It did not answer, or was stopped between two transactions; both are rare.
            fan_out.signal(signal.SIGCONT)
            time.sleep(self.random.uniform(0, 1))

    def pause_replaced(self, fault):
        zombie, before = self.stopped_in_a_transaction()
        fault.times += 1
        twin = self.pipeline.clone(zombie)
        self.pipeline.supervisor.start(twin)
        time.sleep(BEYOND_SESSION_SECONDS)
        # Not restarted: it would rightly fence its replacement, because the latest instance wins.
        zombie.wanted = False
        zombie.signal(signal.SIGCONT)
        if not self.pipeline.within(RECOVER_SECONDS, lambda: not zombie.runs()):
            self.pipeline.outcome.problem(f"{fault.name}: the stopped program still runs: {zombie.log(before.log_length)[-500:]}")
        self.must_be_fenced(fault, zombie, before)
        # It may have been fenced itself by the other's last request as a member; then it was restarted.
        if not self.pipeline.within(RECOVER_SECONDS, twin.runs):
            self.pipeline.outcome.problem(f"{fault.name}: its replacement ended: {twin.last_words}")
        self.pipeline.recovered(fault)
        self.pipeline.supervisor.stop(twin)
        self.pipeline.supervisor.stop(zombie)
        self.pipeline.supervisor.start(zombie)
        self.pipeline.recovered(Fault("the first one again"))

    def must_be_fenced(self, fault, zombie, before):
        if not self.pipeline.within(RECOVER_SECONDS, lambda: zombie.was_fenced(before)):
            self.pipeline.outcome.problem(f"{fault.name}: {zombie.pod} was not fenced: {zombie.log(before.log_length)[-500:]}")
