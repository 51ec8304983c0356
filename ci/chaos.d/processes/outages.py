"""Servers killed, paused, slow, half-open and full."""

import time

import flow
from proof import RECOVER_SECONDS
from results import Kind

from .pipeline import BEHIND_SECONDS

# The first role that writes to each store.
STORES = {stage["place"]["store"]: stage["component"] for stage in reversed(flow.STAGES) if "store" in stage["place"]}


class Outages:
    def __init__(self, pipeline, random):
        self.pipeline, self.random = pipeline, random

    def kafka(self, kills, pauses):
        part = self.pipeline.outcome.part("Kafka killed and paused")
        kafka = self.pipeline.servers["kafka"]
        for _ in range(kills):
            time.sleep(self.random.uniform(0, 2))
            self.kill_server(part.fault("kafka killed", Kind.KILL), kafka)
        for _ in range(pauses):
            time.sleep(self.random.uniform(0, 2))
            self.lasting(part.fault("kafka paused for 20 s"), 20, kafka.pause, kafka.resume)
        self.pipeline.settle(part)

    def stores(self, kills, half_open, seconds):
        part = self.pipeline.outcome.part("Redis and Postgres killed, paused, slow, half-open and full")
        stores = [self.pipeline.servers[name] for name in STORES]
        for _ in range(kills):
            for store in stores:
                time.sleep(self.random.uniform(0, 2))
                self.kill_server(part.fault(f"{store.name} killed", Kind.KILL), store)
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

    def kill_server(self, fault, server):
        fault.times += 1
        at = time.monotonic()
        server.kill()
        server.start()
        self.pipeline.recovered(fault, at)

    def lasting(self, fault, seconds, begin, end):
        """A fault that lasts for a while; the time to recover counts from its end."""
        fault.times += 1
        begin()
        time.sleep(seconds)
        end()
        self.pipeline.recovered(fault)

    def half_open(self, part):
        at = time.monotonic()
        faults = {name: part.fault(f"connections to {name} half-open") for name in STORES}
        for name, fault in faults.items():
            if not self.pipeline.proxies[name].half_open():
                self.pipeline.outcome.problem(f"{fault.name}: there was no connection")
        time.sleep(BEHIND_SECONDS)
        waits = [self.pipeline.passed(fault, STORES[name], at) for name, fault in faults.items()]
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
                    self.pipeline.outcome.problem(f"{store.name}: its disk was not full")
                store.free_disk()
                # A server that exited because its disk was full is restarted, as its pod would be.
                store.start()

        self.lasting(part.fault(f"disks of both stores full for {seconds} s"), seconds, fill, free)
