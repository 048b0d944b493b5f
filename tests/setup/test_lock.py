"""What the lock file promises: hashes for all, an address for none, versions for each supported Python."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lock() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def requirements(lock: str) -> list[tuple[Requirement, list[str]]]:
    """Each requirement with its hashes."""
    blocks = re.findall(r"^([a-zA-Z0-9].*?)\s*\\\n((?:\s+--hash=\S+(?: \\)?\n)+)", lock, flags=re.MULTILINE)
    return [(Requirement(line), re.findall(r"sha256:[0-9a-f]{64}", hashes)) for line, hashes in blocks]


def test_lock_names_no_index(lock: str) -> None:
    assert "://" not in lock
    assert not re.search(r"^--?[a-z]", lock, flags=re.MULTILINE)


def test_every_requirement_is_pinned_and_has_a_hash(
    lock: str, requirements: list[tuple[Requirement, list[str]]]
) -> None:
    assert len(requirements) == len(re.findall(r"^[a-zA-Z0-9]", lock, flags=re.MULTILINE)) > 200
    assert all(str(requirement.specifier).startswith("==") and hashes for requirement, hashes in requirements)


@pytest.mark.parametrize(("python", "mlmd"), [("3.11", "1.17.1"), ("3.12", "1.21.0"), ("3.13", "1.21.0")])
def test_lock_serves_each_python(python: str, mlmd: str, requirements: list[tuple[Requirement, list[str]]]) -> None:
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    versions = {
        requirement.name: str(requirement.specifier)
        for requirement, _ in requirements
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }
    # 1.21 of ml-metadata has wheels for Python 3.12 and 3.13, but for 3.11 only for glibc 2.39; 1.17.1 runs on any.
    assert versions["ml-metadata"] == f"=={mlmd}"
    assert {"tfx", "tensorflow", "apache-beam", "ai-edge-litert", "pytest", "mlxtend"} <= versions.keys()
