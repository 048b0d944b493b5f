"""Publishing: a version appears whole or not at all, numbers only grow, and a kill at any point does no harm."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from serving.publish import PUSH_RECORD, ModelFiles, Version, publish
from serving.versions import find_versions

# Publishes, and is killed by the system at the N-th operation on the file system that Python reports.
KILLED_AT = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from serving.publish import ModelFiles, publish

    saved_model, destination, left = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

    def kill_at_the_last(event, arguments):
        global left
        if event.partition(".")[0] in ("open", "os", "shutil", "fcntl"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill_at_the_last)
    publish(files=ModelFiles(saved_model, "model 2"), destination=destination, keep=1)
""")


def make_files(folder: Path, content: str, artifact: str) -> ModelFiles:
    """A folder with the names of a SavedModel, every file holding `content`."""
    (folder / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"):
        (folder / name).write_text(content)
    return ModelFiles(folder, artifact)


def contents(version: Path) -> set[str]:
    """What the three files of a version made by `make_files` hold; one element where it is whole."""
    files = [path for path in version.rglob("*") if path.is_file() and path != version / PUSH_RECORD]
    assert len(files) == 3
    return {path.read_text() for path in files}


def test_versions_count_up_from_one(tmp_path: Path) -> None:
    pushed = [
        publish(files=make_files(tmp_path / f"m{i}", f"{i}", f"model {i}"), destination=tmp_path / "served", keep=9)
        for i in (1, 2, 3)
    ]
    assert pushed == [Version(i, tmp_path / "served" / f"{i}", is_new=True) for i in (1, 2, 3)]
    assert contents(pushed[2].folder) == {"3"}


def test_saved_model_and_tflite_lie_side_by_side(tmp_path: Path) -> None:
    saved = make_files(tmp_path / "m", "float", "model 1")
    tflite = tmp_path / "converted.tflite"
    tflite.write_bytes(b"TFL3")
    files = ModelFiles(saved.saved_model, "model 1", tflite, "tflite 1")
    version = publish(files=files, destination=tmp_path / "served", keep=1)
    assert (version.folder / "model.tflite").read_bytes() == b"TFL3"
    assert (version.folder / "saved_model.pb").read_text() == "float"


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for i in range(1, 6):
        publish(files=make_files(tmp_path / f"m{i}", f"{i}", f"model {i}"), destination=tmp_path / "served", keep=2)
    assert list(find_versions(tmp_path / "served")) == [4, 5]


def test_number_of_a_deleted_version_is_never_given_again(tmp_path: Path) -> None:
    served = tmp_path / "served"
    for i in (1, 2):
        publish(files=make_files(tmp_path / f"m{i}", f"{i}", f"model {i}"), destination=served, keep=9)
    shutil.rmtree(served / "1")
    shutil.rmtree(served / "2")
    assert publish(files=make_files(tmp_path / "m3", "3", "model 3"), destination=served, keep=9).number == 3


def test_number_follows_versions_that_others_put_there(tmp_path: Path) -> None:
    (tmp_path / "served" / "1700000000").mkdir(parents=True)
    files = make_files(tmp_path / "m", "1", "model 1")
    assert publish(files=files, destination=tmp_path / "served", keep=9).number == 1700000001


def test_repeated_push_of_the_newest_adds_nothing(tmp_path: Path) -> None:
    files = make_files(tmp_path / "m", "1", "model 1")
    first = publish(files=files, destination=tmp_path / "served", keep=2)
    second = publish(files=files, destination=tmp_path / "served", keep=2)
    assert second == Version(first.number, first.folder, is_new=False)
    assert list(find_versions(tmp_path / "served")) == [1]


def test_same_artifact_with_other_content_is_another_model(tmp_path: Path) -> None:
    first = make_files(tmp_path / "m1", "before the metadata was deleted", "model 1")
    again = make_files(tmp_path / "m2", "after", "model 1")
    publish(files=first, destination=tmp_path / "served", keep=2)
    assert publish(files=again, destination=tmp_path / "served", keep=2).number == 2


def test_older_model_pushed_again_becomes_the_newest(tmp_path: Path) -> None:
    old, new = make_files(tmp_path / "m1", "1", "model 1"), make_files(tmp_path / "m2", "2", "model 2")
    publish(files=old, destination=tmp_path / "served", keep=9)
    publish(files=new, destination=tmp_path / "served", keep=9)
    assert contents(publish(files=old, destination=tmp_path / "served", keep=9).folder) == {"1"}
    assert list(find_versions(tmp_path / "served")) == [1, 2, 3]


def test_pushers_at_once_get_different_numbers(tmp_path: Path) -> None:
    many = [make_files(tmp_path / f"m{i}", f"{i}", f"model {i}") for i in range(6)]
    versions: list[Version] = []
    threads = [
        threading.Thread(
            target=lambda files: versions.append(publish(files=files, destination=tmp_path / "served", keep=9)),
            args=(files,),
        )
        for files in many
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(version.number for version in versions) == [1, 2, 3, 4, 5, 6]
    assert set.union(*(contents(version.folder) for version in versions)) == set("012345")


def test_number_taken_between_look_and_rename_is_skipped(tmp_path: Path) -> None:
    """A pusher on a host that shares no locks: it takes each number just as this one looks."""
    served = tmp_path / "served"
    publish(files=make_files(tmp_path / "m1", "1", "model 1"), destination=served, keep=9)

    def take_version_2(event: str, arguments: tuple[object, ...]) -> None:
        if taking and event == "os.rename" and str(arguments[1]) == str(served / "2"):
            taking.clear()
            make_files(served / "2", "theirs", "")

    taking = [True]
    sys.addaudithook(take_version_2)
    version = publish(files=make_files(tmp_path / "m2", "ours", "model 2"), destination=served, keep=9)
    assert version.number == 3
    assert contents(served / "2") == {"theirs"}
    assert contents(served / "3") == {"ours"}


def test_kill_at_any_point_leaves_whole_versions_and_the_next_push_works(tmp_path: Path) -> None:
    """The kill moves through the push, one file-system operation at a time, until the push survives."""
    old = make_files(tmp_path / "old", "old", "model 1")
    new = make_files(tmp_path / "new", "new", "model 2")
    last = make_files(tmp_path / "last", "last", "model 3")
    killed_before_rename = killed_after_rename = 0
    for point in range(1, 200):
        served = tmp_path / f"served{point}"
        publish(files=old, destination=served, keep=2)
        arguments = [str(new.saved_model), str(served), str(point)]
        code = subprocess.run([sys.executable, "-c", KILLED_AT, *arguments], env=_environment()).returncode
        if code == 0:
            break
        assert code == -signal.SIGKILL
        numbers = list(find_versions(served))
        assert numbers in ([1], [1, 2], [2])
        assert all(contents(folder) in ({"old"}, {"new"}) for folder in find_versions(served).values())
        renamed = 2 in numbers
        killed_before_rename += not renamed
        killed_after_rename += renamed
        retried = publish(files=new, destination=served, keep=1)
        assert contents(retried.folder) == {"new"}
        assert retried.is_new != renamed, "a push that had renamed was repeated, or one that had not was skipped"
        assert list(find_versions(served)) == [retried.number]
        assert contents(publish(files=last, destination=served, keep=2).folder) == {"last"}
        assert not list((served / ".push").glob("work-*"))
    assert code == 0
    assert killed_before_rename > 20
    assert killed_after_rename > 2


def test_reader_never_sees_a_half_copied_version(tmp_path: Path) -> None:
    """A reader lists and reads all the while; every version it meets is whole (or was pruned: gone, not partial)."""
    served = tmp_path / "served"
    mixed: list[set[str]] = []
    seen: set[int] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            for number, folder in find_versions(served).items():
                try:
                    found = contents(folder)
                except (FileNotFoundError, AssertionError):
                    if folder.exists():
                        mixed.append({"incomplete"})
                    continue
                seen.add(number)
                if len(found) != 1:
                    mixed.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(1, 41):
        publish(files=make_files(tmp_path / f"m{i}", f"{i}" * 5000, f"model {i}"), destination=served, keep=3)
    done.set()
    reader.join()
    assert not mixed
    assert len(seen) > 10


def test_push_record_names_the_artifacts(tmp_path: Path) -> None:
    files = make_files(tmp_path / "m", "1", "7 /store/Trainer/model/7")
    version = publish(files=files, destination=tmp_path / "served", keep=1)
    assert json.loads((version.folder / PUSH_RECORD).read_text())["model"] == "7 /store/Trainer/model/7"


def test_keep_below_one_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep=0: expected at least 1"):
        publish(files=make_files(tmp_path / "m", "1", "model 1"), destination=tmp_path / "served", keep=0)
    assert not (tmp_path / "served").exists()


def test_publishing_imports_no_tensorflow() -> None:
    code = "import sys, serving.publish; print('tensorflow' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
