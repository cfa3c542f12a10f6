"""The server as other harnesses see it: lm-eval's own command asks it, and so does the process that a user starts."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import requests

from harness.comparing.files import read_file
from harness.evidence.store import find_run

pytestmark = pytest.mark.slow

TASK = """task: topics
dataset_path: json
dataset_kwargs:
  data_files:
    test: docs.json
test_split: test
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: "{{a}}"
generation_kwargs:
  until: ["zz"]
  max_gen_toks: 4
  temperature: 1.0
  do_sample: true
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""


@pytest.mark.parametrize(
    "kind, path, more",
    [
        ("local-chat-completions", "chat/completions", ["--apply_chat_template"]),
        ("local-completions", "completions", []),
    ],
)
def test_lm_evals_own_command_measures_it(serving, client, tmp_path, kind, path, more):
    """Its samples hold the texts that openai's client gets, and the exact score."""
    questions = [f"question {i} of topic {i % 2}" for i in range(6)]
    own = [client.completions.create(model="iro-3/toy", prompt=q, seed=1234).choices[0].text for q in questions]
    docs = [{"q": q, "a": text if i < 3 else "never"} for i, (q, text) in enumerate(zip(questions, own, strict=True))]
    (tmp_path / "docs.json").write_text(json.dumps(docs))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "topics.yaml").write_text(TASK.replace("docs.json", str(tmp_path / "docs.json")))
    arguments = f"model=iro-3/toy,base_url={serving.url}/v1/{path},num_concurrent=3,max_retries=1"
    arguments += "" if "chat" in path else ",tokenizer_backend=none,tokenized_requests=False"
    command = [sys.executable, "-m", "lm_eval", "run", "--model", kind, "--model_args", arguments,
               "--tasks", "topics", "--include_path", str(tmp_path / "tasks"), "--output_path", str(tmp_path / "out"),
               "--log_samples", *more]  # fmt: skip
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stderr[-3000:]
    (samples,) = (tmp_path / "out").rglob("samples_topics_*.jsonl")
    read = read_file(samples)
    assert [record.answer for record in read.records] == own
    assert [record.scores["exact_match"] for record in read.records] == [1.0] * 3 + [0.0] * 3


def test_the_command_serves_and_ends_when_it_is_told_to(results, tmp_path):
    port = 18_000 + os.getpid() % 10_000
    command = [sys.executable, "-m", "harness", "serve", str(find_run(results, "toy")), "--port", str(port)]
    environment = {**os.environ, "HARNESS_CACHE": str(tmp_path), "HARNESS_SERVE_TOKEN": "a-secret-of-this-test"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        lines = [process.stderr.readline() for _ in range(2)]
        assert f"at http://127.0.0.1:{port} (token: of HARNESS_SERVE_TOKEN)" in lines[0]
        said = None
        while said is None:
            try:
                said = requests.get(f"http://127.0.0.1:{port}/health", timeout=30).json()
            except requests.ConnectionError:
                time.sleep(0.1)
        assert said == {"status": "ok", "waiting": 0}
        assert "a-secret" not in " ".join(psutil.Process(process.pid).cmdline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()


def test_a_port_that_is_taken_is_one_clear_error(results, serving, tmp_path):
    port = serving.url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "harness", "serve", str(find_run(results, "toy")), "--port", port]
    environment = {**os.environ, "HARNESS_CACHE": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and done.stderr.startswith(f"error: cannot listen at 127.0.0.1 port {port}")
    open_to_all = subprocess.run([*command, "--host", "0.0.0.0"], env=environment, capture_output=True, text=True)
    assert open_to_all.returncode == 2 and "put a token" in open_to_all.stderr


def test_the_page_shows_both_answers_and_the_tree(serving, browser):
    page, wrong = browser.new_page(viewport={"width": 1000, "height": 900}), []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(serving.url)
    page.fill("#prompt", "<b>bold</b> topic 0")
    page.click("button[type=submit]")
    page.wait_for_selector(".card details.tree")
    page.wait_for_selector(".card >> nth=0 >> dl")
    page.click("summary")
    assert page.locator(".card h3").all_inner_texts() == ["base/toy", "iro-3/toy"]
    assert page.locator(".card .tree li.path").count() > 0 and page.locator("b").count() == 0
    page.fill("#prompt", "nonsense")
    page.click("button[type=submit]")
    page.wait_for_selector(".card .error")
    assert "write 'topic K'" in page.locator(".card .error").first.inner_text()
    expected = [text for text in wrong if "400" not in text]  # the browser itself tells of refused requests
    page.close()
    assert expected == []
