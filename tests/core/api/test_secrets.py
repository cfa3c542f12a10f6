"""What may not be written into a file: refused by name and by form, without being shown."""

import pytest

from harness.core.api.key import key_for
from harness.core.api.secrets import require_no_secret
from harness.core.api.url import checked_url
from harness.core.chat.chat import Endpoint
from harness.core.errors import UserError

KEY = "sk-planted-0123456789abcdef"


@pytest.mark.parametrize(
    "name, value",
    [
        ("api_key", "x"),
        ("apiKey", "x"),
        ("X-API-Key", "x"),
        ("Authorization", "x"),
        ("token", "x"),
        ("access_token", "x"),
        ("password", "x"),
        ("client_secret", "x"),
        ("apikey", "0123abcd"),
        ("OPENAI_APIKEY", "x"),
        ("hf_token", "x"),
        ("user_token", "x"),
        ("hfToken", "x"),
        ("auth", "x"),
        ("extra_headers", {"X-Auth-Token": "x"}),
        ("extra_headers", {"X-Amz-Security-Token": "x"}),
        ("headers", {"Cookie": "x"}),
        ("headers", {"Set-Cookie": "x"}),
        ("headers", {"Proxy-Authorization": "x"}),
        ("cookies", {"session": "x"}),
        ("extra_headers", {"Authorization": "x"}),
        ("extra", [{"deep": {"api-key": "x"}}]),
        ("user", KEY),
        ("metadata", {"note": f"Bearer {KEY}"}),
    ],
)
def test_a_field_that_is_a_secret_is_refused_without_its_value(name, value):
    with pytest.raises(UserError, match="--key-variable") as error:
        require_no_secret("--request", name, value)
    assert KEY not in str(error.value)
    with pytest.raises(UserError, match="--key-variable"):
        Endpoint("http://host/v1", "m", {name: value})


@pytest.mark.parametrize(
    "name, value",
    [
        ("max_tokens", 100),
        ("max_completion_tokens", 100),
        ("return_token_ids", True),
        ("logprob_token_ids", [1, 2]),
        ("stop_token_ids", [1, 2]),
        ("return_tokens_as_token_ids", True),
        ("allowed_token_ids", [1]),
        ("min_tokens", 3),
        ("truncate_prompt_tokens", 3),
        ("add_bos_token", True),
        ("think_end_token", "</think>"),
        ("thinking_end_token", "</think>"),
        ("logprobs_per_token", True),
        ("author", "someone"),
        ("stop_token", "</s>"),
        ("user", "someone"),
        ("logit_bias", {"50256": -100}),
        ("chat_template_kwargs", {"enable_thinking": False}),
        ("skip_special_tokens", False),
        ("prompt_cache_retention", "24h"),
    ],
)
def test_a_field_that_is_none_is_taken(name, value):
    require_no_secret("--request", name, value)


@pytest.mark.parametrize(
    "url", [f"https://host/{KEY}/v1", "https://host/v1#sk", f"https://{KEY}.host/v1", "https://me@host/v1"]
)
def test_a_url_with_a_secret_is_refused_without_showing_it(url):
    with pytest.raises(UserError, match="--endpoint holds") as error:
        checked_url(url, "--endpoint")
    assert KEY not in str(error.value)


def test_a_url_that_holds_the_key_in_use_is_refused(monkeypatch):
    monkeypatch.setenv("PLANTED_KEY", "correct horse".replace(" ", "-"))
    with pytest.raises(UserError, match="holds the key of PLANTED_KEY") as error:
        key_for("http://host/correct-horse/v1", "PLANTED_KEY")
    assert "correct-horse" not in str(error.value)
    assert "correct-horse" not in repr(key_for("http://host/v1", "PLANTED_KEY"))
