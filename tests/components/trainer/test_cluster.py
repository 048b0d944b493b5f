"""Claims about which processes train together: TF_CONFIG as TensorFlow's guide writes it, and all that is wrong."""

import json

import pytest

from components.trainer.cluster import Cluster, from_environment, of_chief
from lineage.outcome import InputError

WORKERS = {"worker": ["one:2222", "two:2222", "three:2222"]}
WITH_CHIEF = {"chief": ["one:2222"], "worker": ["two:2222", "three:2222"]}


def config(cluster: object, kind: str, index: object) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "index"),
    [
        (config(WORKERS, "worker", 0), 0),
        (config(WORKERS, "worker", 2), 2),
        (config(WITH_CHIEF, "chief", 0), 0),
        (config(WITH_CHIEF, "worker", 0), 1),
    ],
)
def test_a_process_knows_its_place(monkeypatch: pytest.MonkeyPatch, text: str, index: int) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    cluster = from_environment()
    assert cluster is not None
    assert cluster.addresses == ("one:2222", "two:2222", "three:2222")
    assert (cluster.index, cluster.is_chief) == (index, index == 0)
    cluster.to_environment()  # TensorFlow is told what the user said
    assert from_environment() == cluster


@pytest.mark.parametrize(
    "text",
    [
        "one:2222,two:2222",
        "[]",
        "{}",
        config(WORKERS, "worker", 3),
        config(WORKERS, "worker", "first"),
        config(WORKERS, "chief", 0),
        config({"worker": ["one:2222"]}, "worker", 0),
        config({"worker": ["one:2222", "one:2222"]}, "worker", 0),
        config({"worker": ["one", "two"]}, "worker", 0),
        config(WORKERS | {"ps": ["four:2222"]}, "worker", 0),
    ],
)
def test_a_malformed_tf_config_is_shown_with_what_is_expected(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError) as caught:
        from_environment()
    assert str(caught.value).startswith(f"TF_CONFIG is {text}; expected")


def test_the_processes_of_a_host_get_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    chief = of_chief(3)
    assert len(set(chief.addresses)) == 3
    assert chief == Cluster(chief.addresses, 0, on_one_host=True)


@pytest.mark.parametrize(
    ("text", "workers", "message"),
    [
        ("", None, "TF_CONFIG is not set. Set it on each host"),
        (
            config(WORKERS, "worker", 0),
            2,
            "trainer.workers is 2, for processes on this host, and TF_CONFIG names hosts",
        ),
        (config(WORKERS, "worker", 1), None, "number 1 of the cluster, and the pipeline runs on the first, one:2222"),
    ],
)
def test_who_is_not_the_chief_of_one_cluster_is_told_so(
    monkeypatch: pytest.MonkeyPatch, text: str, workers: int | None, message: str
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError) as caught:
        of_chief(workers)
    assert message in str(caught.value)
