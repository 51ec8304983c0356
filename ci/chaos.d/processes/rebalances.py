"""Starts and stops instances, so that none keeps its partitions for long."""

import time


def rebalances(pipeline, times):
    """Starts or stops an instance of each role every 2 s, so that none keeps its partitions for longer."""
    part = pipeline.outcome.part("an instance of every role comes or goes every 2 s")
    fault = part.fault("rebalances forced")
    newcomers = [newcomers_of(pipeline, component) for component in pipeline.roles()]
    for number in range(times):
        coming = [each[number % len(each)] for each in newcomers]
        for newcomer in coming:
            pipeline.supervisor.start(newcomer)
        time.sleep(2)
        pipeline.supervisor.stop(*coming)
        time.sleep(2)
        fault.times += 2 * len(newcomers)
    pipeline.recovered(fault)
    pipeline.settle(part)


def newcomers_of(pipeline, component):
    """Several instances in turn, because one that returns within 10 s with its old name would get its old partitions back."""
    first, count = pipeline.one(component), len(pipeline.of(component))
    named = lambda number: {"ETL_ORDINAL": count + number, "ETL_INSTANCE": f"{first.pod}-{count + number}"}
    return [pipeline.clone(first, **named(number)) for number in range(4)]
