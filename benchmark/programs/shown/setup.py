"""How long the set-up takes."""

from .form import table

CACHES = {"cold": "an empty cache", "warm": "a full cache"}


def rows(record, link):
    first = record["commands"][0]
    return [(f"`{first['command']}`, with {CACHES[record['parameters']['caches']]}", link(f"{first['seconds']:,.0f} s"))]


def page(record):
    measured = [[f"`{each['command']}`", f"{each['seconds']:,.0f} s", f"`{each['said']}`" if each["said"] else ""]
                for each in record["commands"]]
    return table(["command", record["parameters"]["caches"], "last line"], measured)
