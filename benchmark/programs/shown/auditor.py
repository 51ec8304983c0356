"""The auditor against the pipeline that it audits."""

from .form import spread, steps, table


def rows(record, link):
    rate = spread(record["rounds"], "sales_per_s").median
    return [("the auditor, which checks every sale and its content at three stages",
             f"{link(f'{rate:,.0f} sales/s')}: {rate / record['capacity']:.2f} times what loader, fan-out, Postgres and spout can "
             "handle together")]


def page(record):
    series, rate = record["rounds"], spread(record["rounds"], "sales_per_s")
    forms = {"client_cpu_s": "{:.1f}", "client_peak_mib": "{:,.0f}", "broker_cpu_s": "{:.1f}", "store_cpu_s": "{:.1f}",
             "others_cores": "{:.2f}"}
    return [
        f"Loader, fan-out, Postgres and spout together bring **{record['capacity']:,} sales/s** to `receipts`; alone on the same "
        f"machine, the auditor checks **{rate.text()} sales/s**, {rate.median / record['capacity']:.2f} times as many: each sale at "
        f"three stages, the content of every block compared ({record['sales']:,} sales, {record['parameters']['rounds']} times from "
        "scratch). Median (lowest to highest).",
        "",
        *table(["auditor CPU s", "auditor peak MiB", "broker CPU s", "Postgres CPU s", "others"],
               [[spread(series, name).text(form) for name, form in forms.items()]]),
        "",
        "The pipeline without an auditor:",
        "",
        *steps("returned", record["steps"]),
    ]
