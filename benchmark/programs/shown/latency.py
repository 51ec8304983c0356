"""From a sale's due time to where it is read."""

from .form import spread, steps, table


def rows(record, link):
    given = record["parameters"]
    routed, stored = (spread(record[part], "p99_ms").median for part in ("routed", "half"))
    return [
        (f"from the due time to a consumer of the fan-out's output, at {given['rate']:,} sales/s", link(f"p99 {routed:.0f} ms")),
        (f"from the due time to Postgres, at half of the {record['capacity']:,} sales/s that loader, fan-out and Postgres can handle",
         link(f"p99 {stored:.0f} ms")),
    ]


def page(record):
    given, routed, half = record["parameters"], record["routed"], record["half"]
    times = f"{given['rounds']} times {given['seconds']} s"
    return [
        f"To a consumer of the fan-out's output at {given['rate']:,} sales/s, {times}, each after {given['warm_up_seconds']} s of "
        f"warm-up, and all after {given['warm_up_rounds']} rounds of it: **p99 {spread(routed, 'p99_ms').text()} ms**.",
        "",
        *table(
            ["offered/s", "p50 ms", "p99 ms", "p99.9 ms", "sent late, p99 ms", "fan-out CPU s", "loader CPU s", "broker CPU s", "others"],
            [[f"{run['offered']:,.0f}", f"{run['p50_ms']:.0f}", f"{run['p99_ms']:.0f}", f"{run['p999_ms']:.0f}",
              f"{run['sent_late_p99_ms']:.1f}", f"{run['fan_out_cpu_s']:.1f}", f"{run['loader_cpu_s']:.1f}",
              f"{run['broker_cpu_s']:.1f}", f"{run['others_cores']:.2f}"] for run in routed],
        ),
        "",
        f"Loader, fan-out and Postgres together handle **{record['capacity']:,} sales/s**; at half of it, {times}: "
        f"**p99 {spread(half, 'p99_ms').text()} ms** from due time to the confirmed commit in Postgres "
        f"(p50 {spread(half, 'p50_ms').text()}).",
        "",
        *steps("stored", record["steps"]),
        "",
        f"Every sale was looked for in the fan-out's output and in Postgres ({record['found']:,} there), and found once.",
    ]
