"""The roles `postgres` and `redis`, with one connection each."""

from .form import spread, table


def rows(record, link):
    rates = [f"{spread(series, 'sales_per_s').median:,.0f}" for series in record["rounds"].values()]
    roles = " and ".join(f"`{role}`" for role in record["rounds"])
    return [(f"the roles {roles}, with one connection each", link(f"{' and '.join(rates)} sales/s"))]


def page(record):
    given = record["parameters"]
    forms = {"client_cpu_s": "{:.1f}", "store_cpu_s": "{:.1f}", "broker_cpu_s": "{:.1f}", "client_peak_mib": "{:,.0f}",
             "others_cores": "{:.2f}"}
    return [
        f"{given['sales']:,} sales of {given['mean_bytes']} bytes from {given['topics']} topics into an empty store, "
        f"{given['rounds']} rounds. Median (lowest to highest).",
        "",
        *table(
            ["role", "sales/s", "client CPU s", "store CPU s", "broker CPU s", "client peak MiB", "others"],
            [[role, f"**{spread(series, 'sales_per_s').text()}**", *(spread(series, name).text(form) for name, form in forms.items())]
             for role, series in record["rounds"].items()],
        ),
    ]
