"""The rate that the local cluster sustains through all stages."""

from .form import held, table


def best(record):
    """The highest rate that held; None if none did."""
    return max((step["asked"] for step in record["steps"] if step["held"]), default=None)


def rows(record, link):
    rate, seconds = best(record), record["parameters"]["seconds"]
    failed = " and ".join(f"{step['asked']:,}" for step in record["steps"] if not step["held"])
    what = ("the local cluster with three brokers, replication factor 3, all stages and the auditor, "
            f"on {record['machine']['cores']} cores")
    if rate is None:
        return [(what, f"{link('no rate')} sustained for {seconds} s; {failed} were tried")]
    return [(what, f"{link(f'{rate:,} sales/s')} sustained for {seconds} s; {failed} were not")]


def page(record):
    rate = best(record)
    seconds = lambda value: "?" if value is None else f"{value:.2f}"
    number = lambda value: "?" if value is None else f"{value:,.0f}"
    lines = [
        f"The highest rate that held for {record['parameters']['seconds']} s: **{rate:,} sales/s**." if rate else "No rate held.",
        "",
        *table(
            ["asked, sales/s", "arrived at the last stage", "backlog, first third", "backlog, last third",
             f"p99 due to {record['parameters']['latency_stage']}, s", "sent late, p99 s", ""],
            [[f"{step['asked']:,}", f"{step['arrived']:,.0f}", number(step["backlog_first"]), number(step["backlog_last"]),
              seconds(step["p99_s"]), seconds(step["sent_late_p99_s"]), held(step)] for step in record["steps"]],
        ),
    ]
    if rate:
        lines += ["", f"Memory at {rate:,} sales/s:", "", *table(
            ["pod", "container", "MiB", "limit MiB"],
            [[use["pod"], use["container"], f"{use['used_mib']:,.0f}", f"{use['limit_mib']:,.0f}"] for use in record["memory"]],
        )]
    return lines
