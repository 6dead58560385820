from cloud.console import charts


def test_the_highest_bar_is_as_high_as_the_chart() -> None:
    chart = charts.chart_of([("08:00", 3, 1), ("09:00", 1, 0), ("10:00", 0, 0)])
    assert (chart.good, chart.bad, chart.highest) == (4, 1, 4)
    assert chart.bars[0].good_height + chart.bars[0].bad_height == charts.HEIGHT
    assert chart.bars[0].bad_y == 0
    assert chart.bars[2].good_height == 0


def test_a_day_without_anything_has_flat_bars() -> None:
    chart = charts.chart_of([("08:00", 0, 0)])
    assert (chart.highest, chart.bars[0].good_height) == (0, 0)
