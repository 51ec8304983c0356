"""Chapter `processes`: faults that need no cluster, with the chart's programs and real servers as processes."""

import collections

from results import Fault

from .kills import Kills
from .outages import Outages
from .overload import Overload
from .pauses import Pauses
from .pipeline import Pipeline
from .programs import MIB
from .rebalances import rebalances


def run(outcome, random, quick):
    with Pipeline(outcome) as pipeline:
        # Start only when the pipeline works.
        pipeline.recovered(Fault("start"))
        Kills(pipeline, random).run(1 if quick else 30)
        rebalances(pipeline, 3 if quick else 15)
        Pauses(pipeline, random).run(1 if quick else 3)
        outages = Outages(pipeline, random)
        outages.kafka(kills=1 if quick else 8, pauses=1 if quick else 2)
        outages.stores(kills=1 if quick else 10, half_open=1 if quick else 2, seconds=10 if quick else 60)
        said(pipeline)
    # The stores of the one before are on small disks by now.
    with Pipeline(outcome) as pipeline:
        pipeline.recovered(Fault("start"))
        Overload(pipeline).run(20 if quick else 300)
        said(pipeline)


def said(pipeline):
    """Notes programs that exited unexpectedly, and memory: neither loses sales, but both are worth knowing."""
    everyone = [*pipeline.programs, *pipeline.extras]
    ended = collections.Counter((program.component, words) for program in everyone for words in program.last_words)
    for (component, words), times in ended.items():
        pipeline.outcome.notes.append(f"{component} exited unexpectedly and was restarted, {times} times: {words}")
    peaks = [max(pipeline.of(component), key=lambda program: program.peak) for component in pipeline.components()]
    most = ", ".join(f"{program.component} {program.peak // MIB} of {program.limit // MIB}" for program in peaks)
    pipeline.outcome.notes.append(f"Peak memory of each kind of program, of its limit, in MiB: {most}.")
