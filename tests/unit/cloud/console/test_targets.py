"""Where the audit's targets have their pages."""

from cloud.console import targets

SOME = "01980000-0000-7000-8000-000000000000"


def test_a_target_of_ours_has_a_page() -> None:
    assert targets.url_of("token", SOME) == f"/admin/access/token/{SOME}/change/"
    assert targets.url_of("call", "call_1") == "/admin/dispatch/operationcall/call_5F1/change/"


def test_what_is_no_id_or_has_no_page_leads_nowhere() -> None:
    assert targets.url_of("project", "website") == ""
    assert targets.url_of("route", SOME) == ""
    assert targets.url_of("call", "") == ""
