"""What a figure says beside its floor, and what leaves the machine in a report."""

import json
from pathlib import Path

from benchmarks.figures import Figure, Report, percentile


def test_a_time_twice_its_floor_costs_twice_as_much() -> None:
    assert Figure(group="g", name="n", unit="ms", value=4, floor=2).ratio == 2


def test_a_rate_half_its_floor_costs_twice_as_much() -> None:
    assert Figure(group="g", name="n", unit="/s", value=2, floor=4, is_rate=True).ratio == 2


def test_a_figure_without_a_floor_has_no_ratio() -> None:
    assert Figure(group="g", name="n", unit="ms", value=4).ratio is None


def test_a_percentile_is_one_of_the_samples() -> None:
    samples = [float(number) for number in range(100, 0, -1)]
    assert [percentile(samples, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([7.0], 0.99) == 7


def test_a_report_keeps_every_sample_and_names_no_path(tmp_path: Path) -> None:
    report = Report(figures=[Figure(group="g", name="n", unit="ms", value=4, floor=2)])
    report.keep("ours", [1.0])
    report.keep("ours", [2.00001])
    report.write(tmp_path / "out.json")
    text = (tmp_path / "out.json").read_text()
    assert json.loads(text)["raw"] == {"ours": [1.0, 2.0]}
    assert json.loads(text)["figures"][0]["ratio"] == 2
    assert str(tmp_path.parent) not in text
