# SPDX-License-Identifier: ISC
"""What was measured: kept, printed, compared with what is to be reached,
written as CSV and as a plot."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Callable

from contenders import CONTENDERS
from measure import LATENCY_TIMES, Case
from scaling import RING, Sample, Scale, flat

# Of the issue: what mcrelay is to reach against the others of one run.
RATE_TO_CLASSIC, RATE_TO_FLOOR = 15.0, 0.85
STEADY_TO_FLOOR, STEADY_CPU_NS = 0.9, 400
NIC_CPU_TO_CLASSIC, CPU_TO_CLASSIC = 1 / 12, 1 / 2
PRIVATE_KIB, SEGMENT_EXTRA_KIB, WAKEUPS_PER_S, START_S = 512, 1024, 1.0, 5.0

CPU, RATE = "cpu_ns_per_datagram", "highest_rate_per_s"


def latency_metric(share: int, key: str) -> str:
    return f"latency_us_at_{share}_{key}"


@dataclass(frozen=True)
class Figure:
    case: Case
    contender: str
    metric: str
    value: float
    remark: str


class Results:
    def __init__(self) -> None:
        self.figures: list[Figure] = []
        self.scales: list[Scale] = []
        self.samples: list[Sample] = []     # of the soak

    def add(self, case: Case, contender: str, metric: str, value: float,
            remark: str = "") -> None:
        self.figures.append(Figure(case, contender, metric, value, remark))

    def values(self, case: Case, contender: str, metric: str) -> list[float]:
        return [f.value for f in self.figures if f.case == case
                and f.contender == contender and f.metric == metric]

    def middle(self, case: Case, contender: str, metric: str
               ) -> float | None:
        values = self.values(case, contender, metric)
        return median(values) if values else None

    def remarks(self, case: Case, contender: str) -> str:
        """The last of each metric; the others are in the CSV file."""
        return "; ".join({
            f.metric: f.remark for f in self.figures if f.case == case
            and f.contender == contender and f.remark}.values())

    def cases(self) -> list[Case]:
        return list(dict.fromkeys(f.case for f in self.figures))

    def write_csv(self, path: Path) -> None:
        with path.open("w", newline="") as f:
            out = csv.writer(f)
            out.writerow(["source", "bytes", "contender", "metric", "value",
                          "remark"])
            for g in self.figures:
                out.writerow([g.case.source, g.case.size, g.contender,
                              g.metric, f"{g.value:.6g}", g.remark])
            for s in self.scales:
                for name, value in vars(s).items():
                    if name != "channels":
                        out.writerow(["scaling", "", f"{s.channels} channels",
                                      name, f"{value:.6g}", ""])
            for t in self.samples:
                for name, kib in t.private_kib.items():
                    out.writerow(["soak", "", name, "private_kib", kib,
                                  f"at {t.at_s:.0f} s"])
                for name, count in t.descriptors.items():
                    out.writerow(["soak", "", name, "descriptors", count,
                                  f"at {t.at_s:.0f} s"])


# Tables.

def number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else \
        f"{value:.3g}"


def spread(values: list[float]) -> str:
    if not values:
        return "–"
    if len(values) == 1:
        return number(values[0])
    return f"{number(min(values))} – **{number(median(values))}** – " \
           f"{number(max(values))}"


def ratio(of: float | None, to: float | None) -> str:
    return f"{of / to:.2f}" if of and to else "–"


def main_table(results: Results) -> list[str]:
    lines = ["| source, bytes | contender | CPU ns a datagram | to classic | "
             "highest rate a second | Gbit/s | to classic | to floor | "
             "remark |", "|---|---|---|---|---|---|---|---|---|"]
    for case in results.cases():
        def middle(name: str, metric: str) -> float | None:
            return results.middle(case, name, metric)
        for name in CONTENDERS:
            cpu, rate = middle(name, CPU), middle(name, RATE)
            if cpu is None and rate is None:
                continue
            gbit = f"{rate * case.size * 8e-9:.2f}" if rate else "–"
            lines.append("| " + " | ".join([
                f"{case.source} {case.size}", name,
                spread(results.values(case, name, CPU)),
                ratio(cpu, middle("classic", CPU)),
                spread(results.values(case, name, RATE)), gbit,
                ratio(rate, middle("classic", RATE)),
                ratio(rate, middle("floor", RATE)),
                results.remarks(case, name)]) + " |")
    return lines


def latency_table(results: Results) -> list[str]:
    lines = ["| source, bytes | of classic's highest rate | contender | "
             "p50 µs | p99 µs | p99.9 µs | max µs |",
             "|---|---|---|---|---|---|---|"]
    for case in results.cases():
        for share in LATENCY_TIMES:
            for name in CONTENDERS:
                cells = [spread(results.values(
                    case, name, latency_metric(share, key)))
                    for key in ("p50", "p99", "p99_9", "max")]
                if cells[0] != "–":
                    lines.append(f"| {case.source} {case.size} | {share} % | "
                                 f"{name} | " + " | ".join(cells) + " |")
    return lines if len(lines) > 2 else []


def scaling_table(scales: list[Scale]) -> list[str]:
    if not scales:
        return []
    return ["| channels | start s | PSS KiB | private KiB | segment KiB | "
            "wake-ups a second | CPU ns a datagram | lost |",
            "|---|---|---|---|---|---|---|---|",
            *(f"| {s.channels} | {s.start_s:.2f} | {s.pss_kib:.0f} | "
              f"{s.private_kib:.0f} | {s.segment_kib:.0f} | "
              f"{s.wakeups_per_s:.2f} | {number(s.cpu_ns)} | {s.lost} |"
              for s in scales)]


# What is to be reached.

@dataclass(frozen=True)
class Target:
    text: str
    reached: bool | None    # None: not measured
    figure: str

    def line(self) -> str:
        word = {True: "reached", False: "NOT reached",
                None: "not measured"}[self.reached]
        return f"- {self.text}: **{word}**" + \
            (f", {self.figure}" if self.figure else "")


def compare(results: Results, text: str, case: Case, metric: str, other: str,
            good: Callable[[float], bool]) -> Target:
    ours = results.middle(case, "mcrelay", metric)
    theirs = results.middle(case, other, metric)
    if not ours or not theirs:
        return Target(text, None, "")
    return Target(text, good(ours / theirs),
                  f"{number(ours)} against {number(theirs)}, "
                  f"ratio {ours / theirs:.3f}")


def cpu_targets(results: Results) -> list[Target]:
    targets = [compare(
        results, "nic 64 B: CPU at most 1/12 of classic's", Case("nic", 64),
        CPU, "classic", lambda r: r <= NIC_CPU_TO_CLASSIC)]
    halves = [Case("plain", size) for size in (64, 200, 1400, 8192)]
    for case in [*halves, Case("coalesced", 8192)]:
        targets.append(compare(
            results, f"{case.source} {case.size} B: CPU at most 1/2 of "
            "classic's", case, CPU, "classic",
            lambda r: r <= CPU_TO_CLASSIC))
    return targets


def latency_targets(results: Results) -> list[Target]:
    targets = []
    for case in (Case("plain", 1400), Case("coalesced", 1400)):
        for share in LATENCY_TIMES:
            targets.append(compare(
                results, f"{case.source} {case.size} B at {share} % of "
                "classic's rate: p99.9 latency (µs) no worse than classic's",
                case, latency_metric(share, "p99_9"), "classic",
                lambda r: r <= 1))
    return targets


def scale_targets(scales: list[Scale]) -> list[Target]:
    thousand = next((s for s in scales if s.channels == 1000), None)
    if thousand is None:
        return [Target("1000 channels idle", None, "")]
    s, ring_kib = thousand, RING / 1024
    return [
        Target(f"1000 channels: at most {PRIVATE_KIB} KiB private memory a "
               "worker", s.private_kib <= PRIVATE_KIB,
               f"{s.private_kib:.0f} KiB"),
        Target("1000 channels: segment at most ring + 1 MiB",
               s.segment_kib <= ring_kib + SEGMENT_EXTRA_KIB,
               f"{s.segment_kib:.0f} KiB for a ring of {ring_kib:.0f}"),
        Target("1000 channels: at most one wake-up a second each",
               s.wakeups_per_s <= WAKEUPS_PER_S, f"{s.wakeups_per_s:.2f}"),
        Target("1000 channels: all running within 5 s",
               s.start_s <= START_S, f"{s.start_s:.2f} s")]


def soak_target(samples: list[Sample]) -> Target:
    text = "memory and descriptors flat over the soak"
    if not samples:
        return Target(text, None, "")
    last = samples[-1]
    return Target(text, flat(samples), f"{last.at_s / 60:.0f} min, "
                  f"{last.archived} archived; " + ", ".join(
                      f"{name} {samples[0].private_kib[name]} KiB at first, "
                      f"{kib} at last" for name, kib
                      in last.private_kib.items()))


def best(results: Results, case: Case, metric: str,
         choose: Callable[..., float]) -> tuple[float, str] | None:
    """Of all ways to write."""
    found = [(value, name) for name in CONTENDERS
             if name.startswith("mcrelay")
             and (value := results.middle(case, name, metric))]
    return choose(found) if found else None


def steady_targets(results: Results) -> list[Target]:
    targets = []
    for case in results.cases():
        rate, cpu = best(results, case, RATE, max), best(results, case, CPU,
                                                         min)
        for other, least in (("floor", STEADY_TO_FLOOR),
                             ("classic", RATE_TO_CLASSIC)):
            theirs = results.middle(case, other, RATE)
            if rate and theirs and (case.source == "coalesced"
                                    or other == "floor"):
                targets.append(Target(
                    f"{case.source} {case.size} B: highest rate at least "
                    f"{least:g} x {other}'s", rate[0] / theirs >= least,
                    f"ratio {rate[0] / theirs:.2f}, {rate[1]}"))
        if cpu and case.source == "coalesced":
            targets.append(Target(
                f"{case.source} {case.size} B: CPU at most {STEADY_CPU_NS} "
                "ns a datagram", cpu[0] <= STEADY_CPU_NS,
                f"{number(cpu[0])}, {cpu[1]}"))
    return targets


def targets(results: Results) -> list[Target]:
    coalesced = Case("coalesced", 1400)
    return [
        compare(results, "coalesced 1400 B: highest rate at least 15 x "
                "classic's", coalesced, RATE, "classic",
                lambda r: r >= RATE_TO_CLASSIC),
        compare(results, "coalesced 1400 B: highest rate at least 0.85 x "
                "floor's", coalesced, RATE, "floor",
                lambda r: r >= RATE_TO_FLOOR),
        *cpu_targets(results), *latency_targets(results),
        *scale_targets(results.scales),
        soak_target(results.samples)]


def whole(results: Results, machine: list[str], steady: bool) -> str:
    parts = [machine, main_table(results) if results.figures else [],
             latency_table(results), scaling_table(results.scales),
             [t.line() for t in (steady_targets if steady else
                                 targets)(results)]]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


# The plot: bars on a logarithmic scale, one group for each case.

COLOURS = {"classic": "#b2182b", "batch": "#ef8a62", "floor": "#bababa",
           "multicat": "#d8b365", "socat": "#8c510a", "mcrelay": "#2166ac",
           "mcrelay+dec": "#67a9cf", "mcrelay+direct": "#053061",
           "mcrelay+mmap": "#92c5de"}
BAR, GAP, LEFT, PANEL, TOP = 12, 18, 80, 240, 50


def colours(results: Results) -> dict[str, str]:
    """Those of the contenders that were measured."""
    measured = {f.contender for f in results.figures}
    return {n: c for n, c in COLOURS.items() if n in measured}


def panel(results: Results, metric: str, title: str, y: float) -> list[str]:
    """One chart, its top at y."""
    every = [f.value for f in results.figures
             if f.metric == metric and f.value > 0]
    if not every:
        return []
    low = math.floor(math.log10(min(every)))
    high = max(math.ceil(math.log10(max(every))), low + 1)
    base = y + PANEL

    def height(value: float) -> float:
        return (math.log10(value) - low) / (high - low) * (PANEL - 20)

    out = [f'<text x="{LEFT}" y="{y - 6}" font-weight="bold">{title}</text>']
    for power in range(low, high + 1):
        at = base - height(10.0 ** power)
        out.append(f'<line x1="{LEFT}" x2="{width(results)}" y1="{at:.1f}" '
                   f'y2="{at:.1f}" stroke="#ddd"/><text x="{LEFT - 6}" '
                   f'y="{at + 4:.1f}" text-anchor="end">'
                   f'{number(10.0 ** power)}</text>')
    x = LEFT + GAP
    for case in results.cases():
        out.append(f'<text x="{x}" y="{base + 16}">{case.source} '
                   f'{case.size}</text>')
        for name, colour in colours(results).items():
            value = results.middle(case, name, metric)
            if value:
                h = max(1.0, height(value))
                out.append(f'<rect x="{x}" y="{base - h:.1f}" '
                           f'width="{BAR - 1}" height="{h:.1f}" '
                           f'fill="{colour}"><title>{name} {case}: '
                           f'{number(value)}</title></rect>')
            x += BAR
        x += GAP + BAR * max(0, 6 - len(colours(results)))
    return out


def width(results: Results) -> int:
    return LEFT + GAP + len(results.cases()) * (
        max(6, len(colours(results))) * BAR + GAP)


def write_svg(results: Results, path: Path) -> None:
    w, h = max(width(results), 840), TOP + 2 * (PANEL + 60)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" '
           f'height="{h}" font-family="sans-serif" font-size="11">',
           f'<rect width="{w}" height="{h}" fill="white"/>']
    for i, (name, colour) in enumerate(colours(results).items()):
        x = LEFT + i * 110
        out.append(f'<rect x="{x}" y="8" width="10" height="10" '
                   f'fill="{colour}"/><text x="{x + 14}" y="17">{name}'
                   '</text>')
    out += panel(results, CPU, "CPU, ns a datagram (less is better)", TOP)
    out += panel(results, RATE, "highest rate without loss, datagrams a "
                 "second (more is better)", TOP + PANEL + 60)
    path.write_text("\n".join([*out, "</svg>"]) + "\n")
