"""The fan-out against its rivals, and against itself without transactions."""

from .form import Spread, spread, spread_of, table

# What a copy is to the comparison.
OURS, RIVAL, BASELINE = "ours", "rival", "without transactions"


def copies(record, side):
    return [copy["name"] for copy in record["parameters"]["copies"] if copy["side"] == side]


def ratio(record, name, figure):
    """Ours by the other's, of the medians."""
    (ours,) = copies(record, OURS)
    mine, other = (spread(record["rounds"][each], figure).median for each in (ours, name))
    return mine / other


def by_round(record, name):
    """The spread of ours by the other's rate, round by round: copies of one round met the same machine."""
    (ours,) = copies(record, OURS)
    if "by_round" in record:
        return Spread(**record["by_round"][name])
    pairs = zip(record["rounds"][ours], record["rounds"][name])
    return spread_of(mine["sales_per_s"] / other["sales_per_s"] for mine, other in pairs)


def rows(record, link):
    (ours,) = copies(record, OURS)
    rate = spread(record["rounds"][ours], "sales_per_s").median
    rivals = [f"{ratio(record, name, 'sales_per_s'):.2f} times {name} with {ratio(record, name, 'client_cpu_s'):.2f} of its CPU"
              for name in copies(record, RIVAL)]
    what = f"the fan-out, exactly once, on the same {record['machine']['cores']} cores as its broker"
    return [(what, f"{link(f'{rate:,.0f} sales/s')}: {', '.join(rivals)}")]


def page(record):
    given = record["parameters"]
    lines = [
        f"{given['sales']:,} sales of {given['mean_bytes']} bytes (body; headers and key come on top) from {given['partitions']} "
        f"partitions to {given['topics']} topics, {given['rounds']} rounds after {given['warm_up_rounds']} to warm up, a commit every "
        f"{given['interval_ms']} ms. Median (lowest to highest).",
        "",
    ]
    (ours,) = copies(record, OURS)
    rate = spread(record["rounds"][ours], "sales_per_s").median
    lines.append(f"- **{rate:,.0f} sales/s exactly once**")
    for name in copies(record, RIVAL):
        lines.append(f"- **{ratio(record, name, 'sales_per_s'):.2f} times {name}** (round by round "
                     f"{by_round(record, name).text('{:.2f}')}), with {ratio(record, name, 'client_cpu_s'):.2f} of its CPU")
    for name in copies(record, BASELINE):
        each = by_round(record, name)
        # The dearest round is the one with the lowest ratio.
        price = Spread(*(100 * (1 - value) for value in (each.median, each.highest, each.lowest)))
        lines.append(f"- the price of exactly-once: {100 * (1 - ratio(record, name, 'sales_per_s')):.0f} % "
                     f"(round by round {price.text('{:.0f}')} %)")
    heads = ["", "sales/s", "client CPU s", "broker CPU s", "client peak MiB", "start to last commit, s", "others"]
    forms = {"sales_per_s": "{:,.0f}", "client_cpu_s": "{:.1f}", "broker_cpu_s": "{:.1f}", "client_peak_mib": "{:,.0f}",
             "wall_s": "{:.1f}", "others_cores": "{:.2f}"}
    measured = [[name, *(spread(series, figure).text(form) for figure, form in forms.items())]
                for name, series in record["rounds"].items()]
    about = [f"- {copy['name']}: {copy['about']}" for copy in given["copies"]]
    return [*lines, "", *table(heads, measured), "", *about]
