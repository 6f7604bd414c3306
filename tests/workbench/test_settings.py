"""Every environment variable is read, typed and refused as documented; the defaults are the safe ones."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from workbench.settings import Settings


@pytest.fixture(autouse=True)
def environment(bare_environment, tmp_path):
    bare_environment.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return bare_environment


def refusal(**values):
    with pytest.raises(ValidationError) as refused:
        Settings(**values)
    return str(refused.value)


def test_defaults_are_for_this_machine_only(tmp_path):
    made = Settings()
    assert (made.host, made.port, made.is_public) == ("127.0.0.1", 7860, False)
    assert (made.logins, made.allow_origins, made.root_path, made.space_id) == (None, (), "", "")
    assert (made.max_upload_mb, made.keep_days, made.workspace_mb, made.warm, made.device) == (512, 7.0, 500, True, "auto")
    assert 1 <= made.max_jobs <= 4
    assert made.home == tmp_path / "cache" / "lightbox"


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("WORKBENCH_HOST", "192.0.2.7", "host", "192.0.2.7"),
        ("GRADIO_SERVER_NAME", "0.0.0.0", "host", "0.0.0.0"),
        ("WORKBENCH_PORT", "8123", "port", 8123),
        ("GRADIO_SERVER_PORT", "8124", "port", 8124),
        ("WORKBENCH_ROOT_PATH", "/lightbox", "root_path", "/lightbox"),
        ("GRADIO_ROOT_PATH", "/box", "root_path", "/box"),
        ("WORKBENCH_HOME", "/srv/box", "home", Path("/srv/box")),
        ("WORKBENCH_DATA", "/srv/data", "data", Path("/srv/data")),
        ("WORKBENCH_ALLOW_ORIGINS", "https://a.example, https://b.example,", "allow_origins", ("https://a.example", "https://b.example")),
        ("WORKBENCH_MAX_UPLOAD_MB", "3", "max_upload_mb", 3),
        ("WORKBENCH_MAX_JOBS", "3", "max_jobs", 3),
        ("WORKBENCH_KEEP_DAYS", "0.5", "keep_days", 0.5),
        ("WORKBENCH_WARM", "0", "warm", False),
        ("WORKBENCH_DEVICE", "cpu", "device", "cpu"),
        ("WORKBENCH_USERS", "", "users", ()),
    ],
)
def test_each_variable_reaches_its_field(environment, name, text, field, value):
    environment.setenv(name, text)
    assert getattr(Settings(), field) == value


def test_our_own_names_win_over_gradios(environment):
    for name, value in (("WORKBENCH_PORT", "1"), ("GRADIO_SERVER_PORT", "2"), ("WORKBENCH_HOST", "::1"), ("GRADIO_SERVER_NAME", "0.0.0.0")):
        environment.setenv(name, value)
    assert (Settings().port, Settings().host) == (1, "::1")


def test_a_space_listens_to_all_unless_told_otherwise(environment):
    environment.setenv("SPACE_ID", "someone/lightbox")
    assert Settings().host == "0.0.0.0"
    environment.setenv("WORKBENCH_HOST", "127.0.0.1")
    assert Settings().host == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "public"), [("127.0.0.1", False), ("localhost", False), ("::1", False), ("0.0.0.0", True), ("10.0.0.5", True)]
)
def test_what_counts_as_public(host, public):
    assert Settings(host=host).is_public is public


def test_logins_are_pairs_and_a_password_may_hold_a_colon(environment):
    environment.setenv("WORKBENCH_USERS", "ann:one, bob:t:w:o,")
    assert Settings().logins == [("ann", "one"), ("bob", "t:w:o")]


@pytest.mark.parametrize("text", ["annsecret", "ann:", ":secret", "ann:secret,bob", " :secret", ",", "ann;secret"])
def test_unreadable_logins_are_refused_with_one_sentence_that_shows_no_password(environment, text):
    environment.setenv("WORKBENCH_USERS", text)
    said = refusal()
    assert "WORKBENCH_USERS must read name:password, several separated by commas; check the value and start again." in said
    assert "secret" not in said


def test_a_name_given_twice_is_refused(environment):
    environment.setenv("WORKBENCH_USERS", "ann:secret,bob:x, ann:other")
    said = refusal()
    assert "names somebody twice" in said
    assert "secret" not in said


def test_passwords_do_not_show_when_settings_are_printed():
    assert "secret" not in repr(Settings(users="ann:secret"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WORKBENCH_PORT", "70000"),
        ("WORKBENCH_PORT", "high"),
        ("WORKBENCH_MAX_UPLOAD_MB", "0"),
        ("WORKBENCH_MAX_JOBS", "-1"),
        ("WORKBENCH_KEEP_DAYS", "0"),
        ("WORKBENCH_WARM", "perhaps"),
    ],
)
def test_values_out_of_range_are_refused(environment, name, text):
    environment.setenv(name, text)
    assert "1 validation error" in refusal()


def test_settings_do_not_change_once_made():
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_where_the_cache_cannot_be_written_the_temporary_folder_is_home(environment, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert Settings().home == Path(tempfile.gettempdir()) / "lightbox"


def test_every_field_says_what_it_is_for():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
