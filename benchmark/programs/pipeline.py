"""The pipeline under load: the rate that it can handle, and the latency at one of its stages."""

import time

from harness import LOADER, say

WARM_UP_SECONDS = 15
STEP_SECONDS = 20
FACTOR = 1.25
# A rate is sustained only if the p99 latency stays below this.
LATE_MS = 1_000
ADMIN = {"loader": "127.0.0.1:28081", "postgres": "127.0.0.1:28082", "spout": "127.0.0.1:28083"}


def loader(bench, rate):
    environment = bench.environment("kafka", LOADER_ORDINAL="0", LOADER_RATE=str(rate), SERVICE_ADMIN_ADDR=ADMIN["loader"])
    return bench.program("loader", [bench.binaries / "kapture-loader"], environment)


def begin(bench, partitions):
    """Resets everything to the state before the first sale."""
    bench.gauge("preload", 0, partitions)
    bench.gauge("clear", "fan-out", "sales.{}")


def all_found(what, look):
    """The result of `look` once nothing is missing any more; exits if that takes too long."""
    deadline = time.time() + 60
    while True:
        found = look()
        if found["well"]:
            return found
        if time.time() > deadline:
            raise SystemExit(f"{what}: not every sale is where it should be: {found}")
        time.sleep(2)


def offer(bench, rate, seconds, role, stage, late_ms=LATE_MS):
    """Latency at the stage of a role while `rate` is offered, the rate that arrived there, and whether that is all of it."""
    with loader(bench, rate):
        time.sleep(WARM_UP_SECONDS)
        with bench.watching("report", ADMIN["loader"], LOADER["SCHEDULE_LAG"], seconds) as sent:
            latency = bench.gauge("report", ADMIN[role], stage, seconds)
            sent = sent()
    latency.update(offered=rate, arrived=latency["counters"][stage] / latency["seconds"], sent_late_p99_ms=sent["p99_ms"])
    latency["held"] = latency["arrived"] > 0.97 * rate and latency["p99_ms"] < late_ms
    say(f"{stage} at {rate:,}/s: {latency['arrived']:,.0f}/s arrived, p50 {latency['p50_ms']:.0f} ms, "
        f"p99 {latency['p99_ms']:.0f} ms; sent {latency['sent_late_p99_ms']:.1f} ms late at p99")
    return latency


def capacity(bench, first, role, stage, look, late_ms=LATE_MS):
    """The highest sustained rate (all sales arrived, with p99 below the limit), and all attempts.

    The rate is raised by a quarter until it twice fails, because on a shared machine a pause of a second may have another
    cause. The backlog is drained before the next attempt.
    """
    rate, held, steps = first, None, []
    while True:
        latency = offer(bench, rate, STEP_SECONDS, role, stage, late_ms)
        all_found(role, look)
        if not latency["held"]:
            steps.append(latency)
            latency = offer(bench, rate, STEP_SECONDS, role, stage, late_ms)
            all_found(role, look)
        steps.append(latency)
        if not latency["held"]:
            break
        held, rate = rate, int(rate * FACTOR)
    if held is None:
        raise SystemExit(f"{rate:,} sales/s were already too many: start lower, with --from")
    return held, steps
