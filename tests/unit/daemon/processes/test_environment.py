"""A child's environment is a short list, never the daemon's."""

from local_daemon.processes import environment


def test_only_listed_names_pass():
    source = {"PATH": "/bin", "HOME": "/home/a", "LC_TIME": "C", "AWS_SECRET_ACCESS_KEY": "s", "LD_PRELOAD": "x.so"}
    selected = environment.environment_select(source)
    assert selected == {"PATH": "/bin", "HOME": "/home/a", "LC_TIME": "C", "LANG": "C.UTF-8"}


def test_policy_names_more_and_values_win():
    source = {"PATH": "/bin", "OPENAI_API_KEY": "k"}
    selected = environment.environment_select(
        source, passed_names=["OPENAI_API_KEY", "NOT_SET"], values={"PATH": "/opt/bin"}
    )
    assert selected["OPENAI_API_KEY"] == "k"
    assert selected["PATH"] == "/opt/bin"
    assert "NOT_SET" not in selected


def test_the_daemons_own_settings_never_pass_even_when_policy_names_them():
    assert "ROPEWAY_TOKEN" not in environment.environment_select({"ROPEWAY_TOKEN": "t"}, passed_names=["ROPEWAY_TOKEN"])


def test_a_service_without_a_path_still_finds_programs():
    assert "/usr/bin" in environment.environment_select({})["PATH"]
