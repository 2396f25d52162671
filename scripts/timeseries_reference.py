#!/usr/bin/env python3
"""Writes crates/offload-ops/timeseries/data/<operation>.json: the figures of other libraries for the worked examples of the
timeseries family, or exact ones by rational arithmetic where libraries lose digits.

Run it from the repository's root in a virtual environment with the packages that it imports; the versions are written
with the figures. `timeseries_reference.py rolling correlate` writes those alone.
"""
import json
import math
import random
import statistics
import sys
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import numpy as np

DATA = Path("crates/offload-ops/timeseries/data")
EXACT = "exact, by rational arithmetic (Python's fractions and statistics)"


def of(*packages):
    return ", ".join(f"{p} {version(p)}" for p in packages)


def gaps(values):
    return [None if v is None or math.isnan(v) else float(v) for v in values]


def table(name):
    return json.loads((DATA / f"{name}.json").read_text())["values"]


def small_series():
    """Short series that are awkward in one way each."""
    r = random.Random(20261126)
    noise = [r.gauss(0, 1) for _ in range(40)]
    yield "a ramp", [float(i) for i in range(12)]
    yield "noise", noise
    yield "an offset of 1e9 and a spread of 1e-3", [1e9 + 1e-3 * r.gauss(0, 1) for _ in range(48)]
    yield "all the same", [7.25] * 15
    yield "one point", [3.5]
    yield "two points", [3.5, -1.0]
    yield "many ties", [float(r.randint(0, 3)) for _ in range(30)]
    yield "huge beside small", [1e16, 1.0, -1e16, 1.0, 3.0, 1e16, -1e16, 2.0, 1e-3, 5.0, 1e16, 1e-5]
    yield "falling", [float(-i * i) for i in range(20)]
    yield "a spike", [1.0] * 10 + [1e6] + [1.0] * 10
    yield "zeros of both signs", [0.0, -0.0, 0.0, -0.0, -0.0, 0.0, 1.0]
    yield "the yearly flow of the Nile", [float(v) for v in table("nile")]


def rolling():
    import pandas as pd

    def exact(window, min_periods, ddof, data):
        want = {k: [] for k in ("mean", "std", "var", "min", "max", "sum", "median")}
        for i in range(len(data)):
            w = [Fraction(v) for v in data[max(0, i + 1 - window):i + 1]]
            if len(w) < min_periods:
                for k in want:
                    want[k].append(None)
                continue
            mean = sum(w) / len(w)
            var = sum((v - mean) ** 2 for v in w) / (len(w) - ddof) if len(w) > ddof else None
            want["mean"].append(float(mean))
            want["var"].append(None if var is None else float(var))
            want["std"].append(None if var is None else math.sqrt(float(var)))
            want["min"].append(float(min(w)))
            want["max"].append(float(max(w)))
            want["sum"].append(float(sum(w)))
            want["median"].append(float(statistics.median(w)))
        return want

    def panda(window, min_periods, ddof, data):
        w = pd.Series(data).rolling(window, min_periods=min_periods)
        got = {"mean": w.mean(), "std": w.std(ddof=ddof), "var": w.var(ddof=ddof), "min": w.min(), "max": w.max(), "sum": w.sum(), "median": w.median()}
        return {k: gaps(v) for k, v in got.items()}

    rows = []
    for name, data in small_series():
        n = len(data)
        # Libraries that slide a sum lose digits after a huge value, and by an offset.
        pandas_is_exact = name in ("a ramp", "noise", "all the same", "many ties", "falling", "the yearly flow of the Nile")
        for window, min_periods, ddof in [(3, None, 1), (1, None, 0), (4, 1, 1), (7, 2, 0), (n, None, 1), (n + 5, 1, 1), (n + 5, None, 1)]:
            fewest = window if min_periods is None else min_periods
            if name not in ("noise", "many ties", "one point", "an offset of 1e9 and a spread of 1e-3", "huge beside small") and window in (1, n + 5):
                continue
            want = (panda if pandas_is_exact else exact)(window, fewest, ddof, data)
            rows.append({"name": f"{name}, window {window}" + (f" from {min_periods}" if min_periods else ""),
                "source": of("pandas") if pandas_is_exact else EXACT,
                "data": data, "window": window, "min_periods": min_periods, "ddof": ddof, "want": want})
    return rows


def downsample():
    from tsdownsample import LTTBDownsampler

    def exact(x, y, m):
        """The method in rational numbers; the first of equals."""
        n = len(y)
        if m >= n:
            return list(range(n))
        x, y = [Fraction(v) for v in x], [Fraction(v) for v in y]
        edge = lambda b: 1 + b * (n - 2) // (m - 2)
        out = [0]
        for b in range(m - 2):
            nxt = range(edge(b + 1), n if b + 3 == m else edge(b + 2))
            cx, cy = (sum(v[j] for j in nxt) / len(nxt) for v in (x, y))
            a = out[-1]
            area = lambda i: abs((x[a] - cx) * (y[i] - y[a]) - (x[a] - x[i]) * (cy - y[a]))
            out.append(max(range(edge(b), edge(b + 1)), key=lambda i: (area(i), -i)))
        return out + [n - 1]

    rows = []
    r = random.Random(7)
    for name, data in small_series():
        n = len(data)
        uneven = np.cumsum([r.uniform(0, 3) for _ in range(n)]).tolist()
        for m in sorted({3, 5, n // 2}):
            if m < 3:
                continue
            for stamps in (None, uneven):
                want = exact(stamps or range(n), data, m)
                source = EXACT
                if name in ("noise", "the yearly flow of the Nile") and m < n:
                    got = LTTBDownsampler().downsample(*([np.array(stamps)] if stamps else []), np.array(data), n_out=m).tolist()
                    if got == want:
                        source = of("tsdownsample")
                    else:
                        print("tsdownsample cuts other buckets:", name, m, sum(a != b for a, b in zip(got, want)), "of", m)
                rows.append({"name": f"{name}, {m} points" + (", uneven times" if stamps else ""), "source": source,
                    "data": data, "timestamps": stamps, "points": m, "indices": want})
    return rows


def seasonal(n, period, seed, slope=0.01, noise=0.2):
    r = random.Random(seed)
    return [slope * i + 2 * math.sin(2 * math.pi * i / period) + r.gauss(0, noise) for i in range(n)]


def anomaly_detection():
    from scipy import stats
    from sklearn.ensemble import IsolationForest
    from statsmodels.tsa.seasonal import STL

    def mad_scores(x):
        # Differences from one of the values are exact where values are near each other.
        x = x - sorted(x)[len(x) // 2]
        scale = stats.median_abs_deviation(x, scale="normal")
        if scale == 0:
            scale = math.sqrt(math.pi / 2) * np.mean(np.abs(x - np.median(x)))
        return np.abs(x - np.median(x)) / scale

    rows = []

    def row(name, source, data, method, scores, **more):
        rows.append({"name": name, "source": source, "data": data, "method": method, "scores": [float(s) for s in scores], **more})

    long = [("the yearly flow of the Nile", [float(v) for v in table("nile")]), ("the yearly sunspots", [float(v) for v in table("sunspots")])]
    short = [(name, data) for name, data in small_series() if name in ("noise", "an offset of 1e9 and a spread of 1e-3", "many ties", "falling", "a spike", "a ramp", "huge beside small")]
    for name, data in short + long:
        x = np.array(data)
        row(name + ", mad", of("scipy"), data, "mad", mad_scores(x))
        c, _, _ = stats.sigmaclip(x - x[0], 3, 3)
        if c.std() > 0:
            row(name + ", zscore", of("scipy"), data, "zscore", np.abs(x - x[0] - c.mean()) / c.std())
        for w in (5, 8):
            m, z = np.zeros(len(x)), np.zeros(len(x))
            for i in range(w, len(x)):
                b = x[i - w:i] - x[i - w]
                m[i] = np.abs(x[i] - x[i - w] - np.median(b)) / max(stats.median_abs_deviation(b, scale="normal") or math.sqrt(math.pi / 2) * np.mean(np.abs(b - np.median(b))), 1e-300)
                z[i] = np.abs(x[i] - x[i - w] - b.mean()) / max(b.std(), 1e-300)
            # Where a window is constant both divide by what stands for zero; that has cases of its own.
            if m.max() < 1e12:
                row(f"{name}, mad of {w} before", of("scipy"), data, "mad", m, window=w)
            if z.max() < 1e12:
                row(f"{name}, zscore of {w} before", of("scipy"), data, "zscore", z, window=w)
    co2 = [v for v in table("co2") if v is not None][:400]
    for name, data, period in [("a season of 12", seasonal(150, 12, 1), 12), ("a season of 4", seasonal(61, 4, 2), 4),
            ("a long season", seasonal(300, 50, 3), 50), ("weekly CO2, the first 400", co2, 52), ("an offset of 1e9", [1e9 + 1e-3 * v for v in seasonal(100, 8, 9)], 8)]:
        x = np.array(data) - data[0]
        trend = math.ceil(1.5 * period / (1 - 1.5 / 7)) | 1
        jump = lambda span: -(-span // 10)
        fit = STL(x, period=period, seasonal=7, trend=trend, low_pass=period + 1, robust=True, seasonal_jump=1, trend_jump=jump(trend), low_pass_jump=jump(period + 1)).fit(inner_iter=1, outer_iter=5)
        row(f"{name}, stl", of("statsmodels", "scipy"), data, "stl", mad_scores(fit.resid), period=period)
    for name, data in long + [("a season of 12", seasonal(150, 12, 1))]:
        x = np.array(data)
        around = np.array([x[i] - np.median(x[max(0, i - 2):i + 3]) for i in range(len(x))])
        points = np.column_stack([x, around])
        n = min(256, len(x))
        scores = np.mean([-IsolationForest(n_estimators=500, max_samples=n, random_state=s).fit(points).score_samples(points) for s in range(4)], axis=0)
        row(f"{name}, isolation", of("scikit-learn"), data, "isolation", scores, trees=500)
    return rows


def correlate():
    from statsmodels.tsa.stattools import acf

    rows = []

    def row(name, source, a, b, normalization, max_lag, values, near=0.0):
        rows.append({"name": name, "source": source, "a": a, "b": b, "normalization": normalization, "max_lag": max_lag, "values": gaps(values), "near": near})

    def exact(a, b, normalization, max_lag):
        """Sums of rational products; the root of the coefficient's divisor in floating point."""
        a, b = [Fraction(v) for v in a], [Fraction(v) for v in b]
        n = len(a)
        if normalization != "none":
            a, b = ([v - sum(x) / n for v in x] for x in (a, b))
        sums = [sum(a[t + k] * b[t] for t in range(max(0, -k), n - max(0, k))) for k in range(-max_lag, max_lag + 1)]
        if normalization == "covariance":
            return [float(s / n) for s in sums]
        if normalization == "coefficient":
            by = math.sqrt(sum(v * v for v in a) * sum(v * v for v in b))
            return [float(s) / by if by else None for s in sums]
        return [float(s) for s in sums]

    nile, sunspots = table("nile"), table("sunspots")
    for name, data in [("the yearly flow of the Nile", nile), ("the yearly sunspots", sunspots)]:
        row(name + " with itself", of("statsmodels"), data, None, "coefficient", 40, acf(np.array(data, float), nlags=40), 1e-14)
        other = data[::-1]
        row(name + " with itself backwards", of("numpy"), data, other, "none", None, np.correlate(np.array(data, float), np.array(other, float), "full"))
    for name, data in small_series():
        n = len(data)
        if n < 2:
            continue
        other = [data[(7 * i) % n] for i in range(n)]
        scale = max(abs(v) for v in data) ** 2
        for normalization, near in (("coefficient", 1e-13), ("covariance", 1e-14 * scale), ("none", 1e-14 * scale * n)):
            if name == "an offset of 1e9 and a spread of 1e-3" and normalization == "covariance":
                near = 1e-19
            lag = n // 2
            row(f"{name}, {normalization}", EXACT, data, other, normalization, lag, exact(data, other, normalization, lag), near)
    return rows


def match():
    import stumpy

    rows = []
    r = random.Random(3)
    walk = np.cumsum([r.gauss(0, 1) for _ in range(150)]).tolist()
    for name, data in [("the yearly flow of the Nile", table("nile")), ("the yearly sunspots", table("sunspots")), ("a walk", walk), ("a season", seasonal(120, 12, 4))]:
        x = np.array(data, float)
        for at, m in ((7, 5), (20, 16), (30, 60)):
            query = (x[at:at + m] * 2 - 7 + np.array([r.gauss(0, 0.1) for _ in range(m)])).tolist()
            rows.append({"name": f"{name}, a query of {m}", "source": of("stumpy"), "data": data, "query": query,
                "profile": gaps(stumpy.mass(np.array(query), x))})
        for m in (4, 11, 24):
            rows.append({"name": f"{name}, windows of {m}", "source": of("stumpy"), "data": data, "query": None, "window": m,
                "profile": gaps(stumpy.stump(x, m)[:, 0].astype(float))})
    return rows


def forecast():
    import warnings

    import pandas as pd
    from statsmodels.tsa.arima.model import ARIMA
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel
    from statsmodels.tsa.forecasting.stl import STLForecast

    warnings.filterwarnings("ignore")

    def full(name):
        """The table with missing values on the line between those around them."""
        return pd.Series(table(name), dtype=float).interpolate().to_numpy()

    def smoothing(y, horizon, season=0):
        """Of the additive models the one with the least corrected criterion."""
        fits = [ETSModel(y, error="add", trend=trend, damped_trend=damped, seasonal="add" if s else None, seasonal_periods=s or None).fit(disp=False)
            for trend, damped in ((None, False), ("add", False), ("add", True)) for s in {0, season}]
        return min(fits, key=lambda f: f.aicc).forecast(horizon)

    def arima(*order):
        return lambda y, horizon: ARIMA(y, order=order).fit().forecast(horizon)

    def by_stl(model, **kwargs):
        return lambda y, horizon: STLForecast(y, model, model_kwargs=kwargs, period=52, seasonal=13).fit().forecast(horizon)

    def tried(y, horizon, origins, ahead):
        off = []
        for i in range(origins):
            at = len(y) - (i + 1) * horizon
            off.append(np.asarray(ahead(y[:at], horizon)) - y[at:at + horizon])
        return {"mae": float(np.mean(np.abs(off))), "rmse": float(np.sqrt(np.mean(np.square(off))))}

    rows = []
    nile, sunspots, co2 = full("nile"), full("sunspots"), full("co2")
    for name, y, horizon, origins, period, methods in [
        ("nile", nile, 5, 8, None, {"holt_winters": ("ETS by aicc", smoothing), "arima": ("ARIMA(1, 1, 1)", arima(1, 1, 1))}),
        ("sunspots", sunspots, 5, 8, None, {"holt_winters": ("ETS by aicc", smoothing), "arima": ("ARIMA(2, 1, 3)", arima(2, 1, 3))}),
        ("sunspots", sunspots, 11, 8, 11, {"holt_winters": ("ETS by aicc", lambda y, h: smoothing(y, h, 11))}),
        ("co2", co2, 26, 4, 52, {"holt_winters": ("STLForecast of ETS(A, A, N)", by_stl(ETSModel, error="add", trend="add")),
            "arima": ("STLForecast of ARIMA(1, 1, 1) with drift", by_stl(ARIMA, order=(1, 1, 1), trend="t"))}),
    ]:
        for method, (what, ahead) in methods.items():
            rows.append({"table": name, "horizon": horizon, "origins": origins, "period": period, "method": method, "by": what,
                "source": of("statsmodels"), **tried(y, horizon, origins, ahead)})
            print(rows[-1], flush=True)
    for name, data, trend, damped, season in [("the yearly flow of the Nile", list(nile), None, False, 0),
            ("a season of 12 and a slope", seasonal(144, 12, 21, 0.05), "add", False, 12), ("a season of 4", seasonal(60, 4, 22, 0.0), None, False, 4)]:
        fit = ETSModel(np.array(data), error="add", trend=trend, damped_trend=damped, seasonal="add" if season else None, seasonal_periods=season or None).fit(disp=False)
        rows.append({"name": name, "source": of("statsmodels"), "data": data, "period": season or None, "method": "holt_winters",
            "values": [float(v) for v in fit.forecast(12)]})
    return rows


def lstm():
    """A batch through a layer of PyTorch in double precision: predictions of one row, the loss, its gradient, and where five steps lead."""
    import torch

    hidden, lags, rows_count, window, burn = 32, 8, 32, 6, 1

    def spread(start, count, width):
        """Numbers between -width and width that are the same everywhere: multiples of the golden ratio."""
        return [float(np.float32((((start + i) * 2654435761) % 2**32 / 2**32 - 0.5) * 2 * width)) for i in range(count)]

    def tensor(values, *shape):
        return torch.tensor(values, dtype=torch.float64).reshape(shape)

    layer = torch.nn.LSTM(1, hidden, dtype=torch.float64)
    head = torch.nn.Linear(hidden + lags, 1, dtype=torch.float64)
    gates = 4 * hidden
    count = hidden * gates + 2 * gates + hidden + lags + 1
    start = spread(0, count, 0.3)
    with torch.no_grad():
        at = hidden * gates
        layer.weight_hh_l0.copy_(tensor(start[:at], hidden, gates).T)
        layer.weight_ih_l0.copy_(tensor(start[at:at + gates], gates, 1))
        layer.bias_ih_l0.copy_(tensor(start[at + gates:at + 2 * gates], gates))
        layer.bias_hh_l0.zero_()
        head.weight.copy_(tensor(start[at + 2 * gates:-1], 1, hidden + lags))
        head.bias.copy_(tensor(start[-1:], 1))
    layer.bias_hh_l0.requires_grad = False
    x = tensor(spread(100_000, (window + lags) * rows_count, 3.0), window + lags, rows_count)

    def flat(parts):
        hh, ih, bias, weight, level = parts
        return torch.cat([hh.T.reshape(-1), ih.reshape(-1), bias, weight.reshape(-1), level])

    parts = [layer.weight_hh_l0, layer.weight_ih_l0, layer.bias_ih_l0, head.weight, head.bias]

    def loss():
        states, _ = layer(x[lags - 1:lags - 1 + window, :, None])
        before = torch.stack([x[lags - 1 - k:lags - 1 - k + window] for k in range(lags)], dim=2)
        said = head(torch.cat([states, before], dim=2))[:, :, 0]
        return said, ((said - x[lags:]) ** 2)[burn:].mean()

    losses, steps = [], 5
    adam = torch.optim.Adam(parts, lr=0.01)
    for step in range(steps):
        said, value = loss()
        adam.zero_grad()
        value.backward()
        if step == 0:
            first = {"said": said[:, 3].tolist(), "gradient": flat([p.grad for p in parts])[::11].tolist()}
        losses.append(value.item())
        torch.nn.utils.clip_grad_norm_(parts, 1.0)
        adam.param_groups[0]["lr"] = 0.01 * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        adam.step()
    rows = [{"source": of("torch"), **first, "losses": losses, "parameters": flat(parts)[::11].tolist()}]

    def drawn(seed, counter):
        """SplitMix64."""
        z = (seed + (counter + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    def place(seed, counter, count):
        return (drawn(seed, counter) >> 32) * count >> 32

    def learned(y, steps, seed, horizon):
        """The whole method on a series that keeps its level, in double precision, with PyTorch's layer, slopes and steps."""
        y = np.array(y)
        w = tensor((y - y.mean()) / y.std(), len(y))
        held = len(y) - len(y) // 8
        window = min(32, (held - lags) // 2)
        burn = window // 4
        start = [(2 * (drawn(seed, 2**60 + i) >> 11) / 2**53 - 1) / math.sqrt(hidden) for i in range(hidden * gates + gates)]
        with torch.no_grad():
            layer.weight_hh_l0.copy_(tensor(start[:hidden * gates], hidden, gates).T)
            layer.weight_ih_l0.copy_(tensor(start[hidden * gates:], gates, 1))
            layer.bias_ih_l0.zero_()
            layer.bias_ih_l0[hidden:2 * hidden] = 1
            head.weight.zero_()
            head.bias.zero_()

        def ahead(x, state=None):
            """Predictions after each input from the last lag on; `x` is `[steps, rows]`."""
            states, state = layer(x[lags - 1:, :, None], state)
            before = torch.stack([x[lags - 1 - k:len(x) - k] for k in range(lags)], dim=2)
            return head(torch.cat([states, before], dim=2))[:, :, 0], state

        def look():
            with torch.no_grad():
                pasts = [w[t - window - lags + 1:t][:, None] for t in range(held, len(y))]
                return torch.cat([ahead(x)[0][-1] for x in pasts]) - w[held:]

        adam = torch.optim.Adam(parts, lr=0.01)
        best, errors = [p.detach().clone() for p in parts], look()
        for step in range(steps):
            froms = [place(seed, step * rows_of_batch + row, held - window - lags + 1) for row in range(rows_of_batch)]
            x = torch.stack([w[f:f + window + lags] for f in froms], dim=1)
            adam.zero_grad()
            ((ahead(x[:-1])[0] - x[lags:])[burn:] ** 2).mean().backward()
            torch.nn.utils.clip_grad_norm_(parts, 1.0)
            adam.param_groups[0]["lr"] = 0.01 * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            adam.step()
        now = look()
        gains = errors ** 2 - now ** 2
        gained = bool(gains.mean() > 1.5 * gains.std() / math.sqrt(len(gains)))
        if gained:
            best, errors = [p.detach().clone() for p in parts], now
        with torch.no_grad():
            for p, b in zip(parts, best):
                p.copy_(b)
            values, squares = [], torch.zeros(horizon)
            for of_round in range(rounds):
                x = w[-window - lags + 1:][:, None].expand(-1, rows_of_batch)
                said, state = ahead(x)
                for step in range(horizon):
                    next = said[-1].clone()
                    for row in range(1, rows_of_batch):
                        counter = 2**61 + (of_round * rows_of_batch + row) * horizon + step
                        error = errors[place(seed, counter, len(errors))]
                        next[row] += error if drawn(seed, counter) & 1 else -error
                    next = next.clamp(-2 * w.abs().max(), 2 * w.abs().max())
                    x = torch.cat([x[1:], next[None]])
                    said, state = ahead(x[-lags:], state)
                    squares[step] += ((next[1:] - next[0]) ** 2).sum()
                    if of_round == 0:
                        values.append(y.mean() + y.std() * next[0].item())
        deviations = (squares / (rounds * (rows_of_batch - 1))).sqrt() * y.std()
        return {"gained": gained, "values": values, "deviations": deviations.tolist()}

    rounds, rows_of_batch = 4, rows_count
    r = random.Random(20261127)
    noise = [round(r.gauss(0, 1), 3) for _ in range(60)]
    turns = [round((-1) ** i + 0.2 * v + 5, 3) for i, v in enumerate(noise)]
    for name, data, steps, horizon in [("a series that turns at each step", turns[:20], 2, 2), ("longer, and further", turns, 20, 9),
            ("noise, of which nothing is learned", noise[:30], 3, 3)]:
        rows.append({"name": name, "source": of("torch"), "data": data, "steps": steps, "horizon": horizon, **learned(data, steps, 1234, horizon)})
        print(rows[-1])
    return rows


def main():
    known = {f.__name__: f for f in (rolling, downsample, anomaly_detection, correlate, match, forecast, lstm)}
    for name in sys.argv[1:] or known:
        rows = known[name]()
        path = DATA / f"{name}.json"
        path.write_text('{"by": "scripts/timeseries_reference.py", "rows": [\n' + ",\n".join(json.dumps(r) for r in rows) + "\n]}\n")
        print(path, len(rows), "rows", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
