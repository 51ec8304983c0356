"""Chapter `processes`: everything that needs no cluster, on the chart's programs and real servers as processes."""

import collections
import signal
import time

import flow
import results
from pipeline import Pipeline
from programs import MIB
from proof import LOOK_SECONDS, RECOVER_SECONDS

# Kafka aborts a transaction after 10 s, and looks for such ones each 10 s.
BEYOND_TRANSACTION_SECONDS = 22
# A member of a group that is silent for 10 s loses its share.
BEYOND_SESSION_SECONDS = 13
# Some thirty transactions of the other fan-out.
HELD_UP_SECONDS = 3
# Time for sales to pile up behind what stands still.
BEHIND_SECONDS = 2
# The role that fills each.
STORES = {"redis": "etl-redis", "postgres": "etl-postgres"}


def run(outcome, random, quick):
    with Pipeline(outcome) as pipeline:
        chapter = Chapter(outcome, pipeline, random)
        # Only from a pipeline that flows.
        pipeline.recovered(results.Fault("start"))
        chapter.kills(1 if quick else 30)
        chapter.rebalances(3 if quick else 15)
        chapter.pauses(1 if quick else 3)
        chapter.kafka(kills=1 if quick else 8, pauses=1 if quick else 2)
        chapter.stores(kills=1 if quick else 10, half_open=1 if quick else 2, seconds=10 if quick else 60)
        chapter.said()


class Chapter:
    """The parts, in the order in which they run."""

    def __init__(self, outcome, pipeline, random):
        self.outcome, self.pipeline, self.random = outcome, pipeline, random

    # Kills of programs.

    def kills(self, rounds):
        """In each round one of every component, each at a random moment, whatever the others are at then."""
        part = self.outcome.part("programs killed, loaders scaled up and down meanwhile")
        for number in range(rounds):
            self.scale_loaders()
            victims = [self.random.choice(self.running(component)) for component in self.pipeline.components()]
            moments = sorted((self.random.uniform(0, 4), victim.pod, victim) for victim in victims)
            begun, waits = time.monotonic(), []
            for moment, _, victim in moments:
                while time.monotonic() - begun < moment:
                    waits = [wait for wait in waits if not wait()]
                    time.sleep(LOOK_SECONDS)
                waits.append(self.kill(part.fault(f"{victim.component} killed"), victim))
            self.pipeline.all_within(RECOVER_SECONDS, waits, f"round {number + 1} of kills")
        self.pipeline.settle(part)

    def running(self, component):
        return [program for program in self.pipeline.of(component) if program.wanted]

    def kill(self, fault, program):
        """Kills one, and gives what says whether it has recovered."""
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
        """What a component must have done to have recovered, besides being ready."""
        if program.component in flow.GROUPS:
            return flow.Mark(self.pipeline.kafka, program.component).passed
        if program.component == "loader":
            return lambda: (program.asked("/report") or {"counters": {}})["counters"].get("accepted", 0) > 0
        if program.component == "auditor":
            before = self.pipeline.account()
            seen = before["stages"]["accepted"]["found"] if before else 0
            return lambda: self.audited(seen)
        return lambda: all(stage["sales"] is not None for stage in (program.asked("/api/v1/state") or {"stages": [{"sales": None}]})["stages"])

    def audited(self, seen):
        """Whether the auditor has proved again what it had seen before."""
        account = self.pipeline.account()
        return account is not None and account["position"]["rounds"] > 0 and account["stages"]["routed"]["found"] >= seen

    def scale_loaders(self):
        """One more or one less, now and then; the first always sends."""
        loader = self.random.choice(self.pipeline.of("loader")[1:])
        if self.random.random() < 0.5:
            if loader.wanted:
                self.pipeline.supervisor.stop(loader)
            else:
                self.pipeline.supervisor.start(loader)

    # Rebalances.

    def rebalances(self, times):
        """Every 2 s another instance of each role comes, or goes; so none has its share for longer."""
        part = self.outcome.part("an instance of every role comes or goes every 2 s")
        fault = part.fault("rebalances forced")
        newcomers = [self.newcomers(component) for component in self.pipeline.roles()]
        for number in range(times):
            coming = [each[number % len(each)] for each in newcomers]
            for newcomer in coming:
                self.pipeline.supervisor.start(newcomer)
            time.sleep(2)
            self.pipeline.supervisor.stop(*coming)
            time.sleep(2)
            fault.times += 2 * len(newcomers)
        self.pipeline.recovered(fault)
        self.pipeline.settle(part)

    def newcomers(self, component):
        """Several that take turns: one that comes back within 10 s under its old name would only get its old share."""
        first, count = self.pipeline.one(component), len(self.pipeline.of(component))
        named = lambda number: {"ETL_ORDINAL": count + number, "ETL_INSTANCE": f"{first.pod}-{count + number}"}
        return [self.pipeline.clone(first, **named(number)) for number in range(4)]

    # Standstills.

    def pauses(self, times):
        """Stopped for so long that Kafka gives their work to others, and then continued in the middle of a write."""
        part = self.outcome.part("programs stopped in the middle of their work, and continued")
        for _ in range(times):
            time.sleep(self.random.uniform(0, 1))
            self.pause_one_of_each(part)
            self.pause_replaced(part.fault("etl-fan-out stopped, and replaced by another of its name"))
        self.pipeline.settle(part)

    def pause_one_of_each(self, part):
        """The others take over meanwhile; what the stopped ones then still write, Kafka and the stores refuse."""
        fan_out = self.stopped_in_a_transaction()
        zombies = [self.pipeline.one(role) for role in self.pipeline.roles() if role != "etl-fan-out"]
        said, began = fan_out.log_length(), time.monotonic()
        for zombie in zombies:
            zombie.signal(signal.SIGSTOP)
        time.sleep(BEHIND_SECONDS)
        named = lambda zombie: f"{zombie.component} stopped for {BEYOND_TRANSACTION_SECONDS} s"
        waits = [self.passed(part.fault(named(zombie)), zombie.component, began) for zombie in [fan_out, *zombies]]
        self.pipeline.all_within(RECOVER_SECONDS, waits, "the other instances, while these stand still")
        time.sleep(max(0, BEYOND_TRANSACTION_SECONDS - (time.monotonic() - began)))
        for zombie in [fan_out, *zombies]:
            zombie.signal(signal.SIGCONT)
        self.pipeline.recovered(part.fault("all of them continued"))
        part.fault("all of them continued").times += 1
        self.must_be_fenced(fan_out, said)

    def passed(self, fault, component, at):
        """Counts a fault of a role, begun at that time, and gives what says whether the role has passed all there is."""
        mark = flow.Mark(self.pipeline.kafka, component)
        fault.times += 1

        def holds():
            if not mark.passed():
                return False
            fault.seconds.append(time.monotonic() - at)
            return True

        return holds

    def stopped_in_a_transaction(self):
        """The first fan-out, standing still with a transaction open: that holds up readers, until Kafka aborts it."""
        fan_out, kafka = self.pipeline.one("etl-fan-out"), self.pipeline.kafka
        while True:
            fan_out.signal(signal.SIGSTOP)
            before = kafka.stuck()
            time.sleep(HELD_UP_SECONDS)
            if any(where in before and before[where][0] == stable for where, (stable, _) in kafka.stuck().items()):
                return fan_out
            # It stood between two of them, which is rare.
            fan_out.signal(signal.SIGCONT)
            time.sleep(self.random.uniform(0, 1))

    def pause_replaced(self, fault):
        zombie = self.stopped_in_a_transaction()
        said = zombie.log_length()
        fault.times += 1
        twin = self.pipeline.clone(zombie)
        self.pipeline.supervisor.start(twin)
        time.sleep(BEYOND_SESSION_SECONDS)
        # Not started again: it would fence its successor, as is right for the one that comes last.
        zombie.wanted = False
        zombie.signal(signal.SIGCONT)
        if not self.pipeline.within(RECOVER_SECONDS, lambda: not zombie.runs()):
            self.outcome.problem(f"{fault.name}: the one that was stopped still runs: {zombie.log(said)[-500:]}")
        self.must_be_fenced(zombie, said)
        # It may have been fenced in turn, by the last that the other one said as a member; then it was started again.
        if not self.pipeline.within(RECOVER_SECONDS, twin.runs):
            self.outcome.problem(f"{fault.name}: its replacement ended: {twin.last_words}")
        self.pipeline.recovered(fault)
        self.pipeline.supervisor.stop(twin)
        self.pipeline.supervisor.stop(zombie)
        self.pipeline.supervisor.start(zombie)
        self.pipeline.recovered(results.Fault("the first one again"))

    def must_be_fenced(self, zombie, said):
        if "fenced" not in zombie.log(said).lower():
            self.outcome.problem(f"{zombie.pod} was stopped in a transaction, and not fenced: {zombie.log(said)[-500:]}")

    # Servers.

    def kafka(self, kills, pauses):
        part = self.outcome.part("Kafka killed and paused")
        kafka = self.pipeline.servers["kafka"]
        for _ in range(kills):
            time.sleep(self.random.uniform(0, 2))
            self.kill_server(part.fault("kafka killed"), kafka)
        for _ in range(pauses):
            time.sleep(self.random.uniform(0, 2))
            self.lasting(part.fault("kafka paused for 20 s"), 20, kafka.pause, kafka.resume)
        self.pipeline.settle(part)

    def kill_server(self, fault, server):
        fault.times += 1
        at = time.monotonic()
        server.kill()
        server.start()
        self.pipeline.recovered(fault, at)

    def lasting(self, fault, seconds, begin, end):
        """A fault that lasts; the time to recover counts from its end."""
        fault.times += 1
        begin()
        time.sleep(seconds)
        end()
        self.pipeline.recovered(fault)

    def stores(self, kills, half_open, seconds):
        part = self.outcome.part("Redis and Postgres killed, paused, slow, half-open and full")
        stores = [self.pipeline.servers[name] for name in STORES]
        for _ in range(kills):
            for store in stores:
                time.sleep(self.random.uniform(0, 2))
                self.kill_server(part.fault(f"{store.name} killed"), store)
        for _ in range(half_open):
            self.half_open(part)

        def slow(seconds):
            for name in STORES:
                self.pipeline.proxies[name].delay = seconds

        self.lasting(part.fault(f"both stores slow for {seconds // 2} s, 1 s each way"), seconds // 2, lambda: slow(1), lambda: slow(0))

        def both(verb):
            for store in stores:
                getattr(store, verb)()

        self.lasting(part.fault(f"both stores paused for {seconds} s"), seconds, lambda: both("pause"), lambda: both("resume"))
        self.full_disks(part, stores, seconds // 2)
        self.pipeline.settle(part)

    def half_open(self, part):
        at = time.monotonic()
        faults = {name: part.fault(f"connections to {name} half-open") for name in STORES}
        for name, fault in faults.items():
            if not self.pipeline.proxies[name].half_open():
                self.outcome.problem(f"{fault.name}: there was none")
        time.sleep(BEHIND_SECONDS)
        waits = [self.passed(fault, STORES[name], at) for name, fault in faults.items()]
        self.pipeline.all_within(RECOVER_SECONDS, waits, "half-open connections")

    def full_disks(self, part, stores, seconds):
        for store in stores:
            store.take_disk()

        def fill():
            for store in stores:
                store.fill_disk()

        def free():
            for store in stores:
                if store.free_bytes():
                    self.outcome.problem(f"{store.name}: its disk was not full")
                store.free_disk()
                # One that ended for want of room is started again, as its pod would be.
                store.start()

        self.lasting(part.fault(f"disks of both stores full for {seconds} s"), seconds, fill, free)

    def said(self):
        """Programs that ended by themselves, and memory: nothing is lost by either, but somebody should know."""
        everyone = [*self.pipeline.programs, *self.pipeline.extras]
        ended = collections.Counter((program.component, words.strip()) for program in everyone for words in program.last_words)
        for (component, words), times in ended.items():
            self.outcome.notes.append(f"{component} ended by itself and was started again, {times} times: {words}")
        peaks = [max(self.pipeline.of(component), key=lambda program: program.peak) for component in self.pipeline.components()]
        most = ", ".join(f"{program.component} {program.peak // MIB} of {program.limit // MIB}" for program in peaks)
        self.outcome.notes.append(f"The most memory that a program of each kind ever had, of its limit, in MiB: {most}.")

