"""The loader against Kafka's ProducerPerformance."""

from .form import spread, spread_of, table

OURS, RIVAL = "loader", "ProducerPerformance"
EFFICIENCY = "sales_per_cpu_s"


def ratio(record, figure):
    """Ours by the rival's, round by round: copies of one round met the same machine."""
    pairs = zip(record["rounds"][OURS], record["rounds"][RIVAL])
    return spread_of(mine[figure] / other[figure] for mine, other in pairs)


def rows(record, link):
    each = spread(record["rounds"][OURS], EFFICIENCY).median
    return [("the loader, with the full model, into one broker on the same machine",
             f"{link(f'{each:,.0f} sales per CPU second')}: {ratio(record, EFFICIENCY).median:.2f} times {RIVAL}")]


def page(record):
    given = record["parameters"]
    size = record["rounds"][OURS][-1]["mean_bytes"]
    forms = {"sales_per_s": "{:,.0f}", EFFICIENCY: "{:,.0f}", "client_cpu_s": "{:.1f}", "broker_cpu_s": "{:.1f}",
             "client_peak_mib": "{:,.0f}", "others_cores": "{:.2f}"}
    return [
        f"{given['sales']:,} sales of {size} bytes (body; header and key come on top) to {given['partitions']} partitions, "
        f"{given['rounds']} rounds after {given['warm_up_rounds']} to warm up. Median (lowest to highest).",
        "",
        f"- **{spread(record['rounds'][OURS], EFFICIENCY).median:,.0f} sales per client CPU second**",
        f"- **{ratio(record, EFFICIENCY).text('{:.2f}')} times {RIVAL}** round by round",
        "",
        *table(["", "sales/s", "sales per client CPU s", "client CPU s", "broker CPU s", "client peak MiB", "others"],
               [[name, *(spread(series, figure).text(form) for figure, form in forms.items())]
                for name, series in record["rounds"].items()]),
    ]
