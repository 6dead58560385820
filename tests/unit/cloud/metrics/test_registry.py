from prometheus_client import exposition

from cloud.metrics import registry


def shown() -> str:
    return exposition.generate_latest(registry.REGISTRY).decode()


def test_names_that_no_table_holds_make_no_series() -> None:
    for made_up in ("rm -rf", "runs.list2"):
        registry.call_count(made_up, "surprise", 0.1)
    assert 'ropeway_calls_total{operation="unknown",outcome="unknown"}' in shown()
    assert "rm -rf" not in shown()
    assert "surprise" not in shown()


def test_no_label_could_name_a_tenant_or_a_machine() -> None:
    labels = {
        name for collector in registry.REGISTRY._collector_to_names for name in getattr(collector, "_labelnames", ())
    }
    assert labels == {"operation", "outcome", "surface", "status"}
