"""Clients that others wrote: LangChain's, and lmms-eval's class for OpenAI-compatible servers."""

import json
import os
import subprocess

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from openai import UnprocessableEntityError

from tempo.errors import TempoError
from tempo.evaluation.environment import find
from tempo.evaluation.local_tasks import read_releases, write_tasks
from tempo.evaluation.miniature import render_videos, write_mlvu

from .conftest import KEY, Served

QUESTION = "What is there?"


@pytest.fixture
def chat(served):
    return ChatOpenAI(model="nano", base_url=f"{served.url}/v1", api_key=KEY, max_retries=0)


@pytest.fixture(scope="module")
def session(nano, folder):
    return nano.watch(folder / "0.mp4")


def about(path, question):
    video = {"type": "video_url", "video_url": {"url": f"file://{path}"}}
    return HumanMessage(content=[video, {"type": "text", "text": question}])


def test_langchain_asks_streams_and_talks(chat, folder, session):
    first = session.ask(QUESTION)
    asked = about(folder / "0.mp4", QUESTION)
    told = chat.invoke([asked])
    assert told.content == first.text
    assert told.usage_metadata["input_tokens"] == first.usage.prompt_tokens
    assert "".join(chunk.content for chunk in chat.stream([asked])) == first.text
    conversation = session.conversation()
    conversation.ask(QUESTION)
    expected = conversation.ask("And what comes after it?").text
    talk = [asked, AIMessage(content=first.text), HumanMessage(content="And what comes after it?")]
    assert chat.invoke(talk).content == expected
    told = chat.invoke([SystemMessage(content="Answer briefly."), asked])
    assert told.content == session.ask(f"Answer briefly.\n{QUESTION}").text


def test_langchain_raises_openais_errors(chat, folder):
    with pytest.raises(UnprocessableEntityError, match="no such file"):
        chat.invoke([about(folder / "nothing.mp4", QUESTION)])


@pytest.fixture(scope="module")
def evaluation():
    try:
        return find()
    except TempoError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def benchmark(evaluation, tmp_path_factory):
    """MLVU in miniature, and the task that reads it."""
    folder = tmp_path_factory.mktemp("miniature")
    write_mlvu(folder / "data" / "MLVU", render_videos(folder / "films", count=2, questions=3, seconds=8.0))
    releases = read_releases(["mlvu_dev"], folder / "data", read_table=evaluation.read_parquet)
    (task,) = write_tasks(releases, folder / "tasks", lmms_eval=evaluation.folder)
    return folder, task


# Starting lmms-eval takes ten seconds, and many times that beside other work.
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("model", "more"), [("max_frames_num=16", ["--force_simple"]), ("pass_video_url=True", [])]
)
def test_lmms_eval_scores_the_server(evaluation, benchmark, tmp_path, model, more):
    """Its simple class sends frames that it sampled, its chat class addresses."""
    folder, task = benchmark
    server = Served("--served-model-name", "nano", "--allowed-local-media-path", str(folder))
    try:
        arguments = f"model=nano,base_url={server.url}/v1,api_key={KEY},max_retries=1,{model}"
        command = [evaluation.python, "-m", "lmms_eval", "--model", "openai", "--model_args", arguments]
        command += ["--tasks", task, "--include_path", str(folder / "tasks"), "--batch_size", "1"]
        command += ["--output_path", str(tmp_path), "--log_samples", *more]
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
        environment = {**os.environ, **offline, "HF_DATASETS_CACHE": str(tmp_path / "cache")}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    finally:
        assert server.close() == 0
    lines = [line for file in tmp_path.rglob("*_samples_*.jsonl") for line in file.read_text().splitlines()]
    assert len(lines) == 6, done.stderr[-2000:]
    told = [json.loads(line) for line in lines]
    assert sum(one["filtered_resps"] == one["target"] for one in told) >= 4, told
