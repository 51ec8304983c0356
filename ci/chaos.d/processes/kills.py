"""Kills programs at random moments, while loaders are started and stopped."""

import time

import flow
from proof import LOOK_SECONDS, RECOVER_SECONDS
from results import Kind


class Kills:
    def __init__(self, pipeline, random):
        self.pipeline, self.random = pipeline, random

    def run(self, rounds):
        """Kills one program of every component per round, each at a random moment, independently of the others."""
        part = self.pipeline.outcome.part("programs killed, loaders scaled up and down meanwhile")
        for number in range(rounds):
            self.scale_loaders()
            victims = [self.random.choice(self.running(component)) for component in self.pipeline.components()]
            moments = sorted((self.random.uniform(0, 4), victim.pod, victim) for victim in victims)
            begun, waits = time.monotonic(), []
            for moment, _, victim in moments:
                while time.monotonic() - begun < moment:
                    waits = [wait for wait in waits if not wait()]
                    time.sleep(LOOK_SECONDS)
                waits.append(self.kill(part.fault(f"{victim.component} killed", Kind.KILL), victim))
            self.pipeline.all_within(RECOVER_SECONDS, waits, f"round {number + 1} of kills")
        self.pipeline.settle(part)

    def running(self, component):
        return [program for program in self.pipeline.of(component) if program.wanted]

    def kill(self, fault, program):
        """Kills a program, and returns a function that tells whether it has recovered."""
        recovered = self.recovery_of(program)
        before, at = program.pid, time.monotonic()
        self.pipeline.supervisor.kill(program)
        fault.times += 1

        def holds():
            if program.pid == before or not program.ready() or not recovered():
                return False
            fault.seconds.append(time.monotonic() - at)
            return True

        return holds

    def recovery_of(self, program):
        """The condition, besides readiness, under which a component has recovered."""
        if program.component in flow.GROUPS:
            return flow.Mark(self.pipeline.kafka, program.component).passed
        if program.component == "loader":
            return lambda: program.counters().get(flow.COUNTERS["loader"], 0) > 0
        if program.component == "auditor":
            before = self.pipeline.account()
            seen = before["stages"]["accepted"]["found"] if before else 0
            return lambda: self.audited(seen)
        return lambda: all(stage["sales"] is not None for stage in (program.asked("/api/v1/state") or {"stages": [{"sales": None}]})["stages"])

    def audited(self, seen):
        """Whether the auditor has again found what it had found before."""
        account = self.pipeline.account()
        return account is not None and account["position"]["rounds"] > 0 and account["stages"]["routed"]["found"] >= seen

    def scale_loaders(self):
        """Sometimes starts or stops a loader; the first one always sends."""
        loader = self.random.choice(self.pipeline.of("loader")[1:])
        if self.random.random() < 0.5:
            if loader.wanted:
                self.pipeline.supervisor.stop(loader)
            else:
                self.pipeline.supervisor.start(loader)
