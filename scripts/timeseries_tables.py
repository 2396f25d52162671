#!/usr/bin/env python3
"""Writes the real series of crates/offload-ops/timeseries/data from statsmodels, whose copies are public domain.

    python scripts/timeseries_tables.py

Needs statsmodels. A value that is missing is null.
"""
import json
import os

import statsmodels
import statsmodels.api as sm

FOLDER = os.path.join(os.path.dirname(__file__), "..", "crates", "offload-ops", "timeseries", "data")


def write(name, about, values, licence, origin):
    head = {"name": name, "about": about, "source": f"statsmodels {statsmodels.__version__}, statsmodels.datasets.{name}",
            "origin": origin, "licence": licence, "version": statsmodels.__version__}
    texts = ["null" if v != v else json.dumps(int(v) if v == int(v) else float(v)) for v in values]
    lines = [",".join(texts[i:i + 20]) for i in range(0, len(texts), 20)]
    with open(os.path.join(FOLDER, f"{name}.json"), "w") as file:
        members = "".join(f"{json.dumps(k)}: {json.dumps(v)},\n" for k, v in head.items())
        file.write("{" + members + '"values": [\n' + ",\n".join(lines) + "\n]}\n")


def main():
    data = sm.datasets
    write("sunspots", "Yearly sunspots, 1700 to 2008, 309 values.", data.sunspots.load_pandas().data["SUNACTIVITY"],
          data.sunspots.COPYRIGHT, "National Geophysical Data Center (NOAA)")
    write("co2", "Weekly atmospheric CO2 at Mauna Loa in ppmv, Saturdays from 1958-03-29 to 2001-12-29, 2284 values.",
          data.co2.load_pandas().data["co2"], data.co2.COPYRIGHT,
          "C. D. Keeling and T. P. Whorf, Scripps Institution of Oceanography; CDIAC, 2004")
    write("nile", "Yearly flow of the Nile at Aswan in 10^8 cubic metres, 1871 to 1970, 100 values.",
          data.nile.load_pandas().data["volume"], data.nile.COPYRIGHT,
          "G. W. Cobb, The problem of the Nile, Biometrika 65(2), 1978")


main()
