"""Instances that come and go, so that none has its share for long."""

import time


def rebalances(pipeline, times):
    """Every 2 s another instance of each role comes, or goes; so none has its share for longer."""
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
    """Several that take turns: one that comes back within 10 s under its old name would only get its old share."""
    first, count = pipeline.one(component), len(pipeline.of(component))
    named = lambda number: {"ETL_ORDINAL": count + number, "ETL_INSTANCE": f"{first.pod}-{count + number}"}
    return [pipeline.clone(first, **named(number)) for number in range(4)]
