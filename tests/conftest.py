from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import qubo_attn as qa

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"

settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite fixtures/golden")
    parser.addoption("--fuzz", type=int, default=5, help="random problems of each family")
    parser.addoption("--fuzz-seed", type=int, default=0, help="draw others than the usual ones")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Every test keeps embeddings in a folder of the test run."""
    base = tmp_path_factory.getbasetemp()
    # Parallel test processes share the folder above theirs, and so each other's embeddings.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "embeddings"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUBO_ATTN_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def cache(own_cache: Path) -> qa.EmbeddingCache:
    return qa.EmbeddingCache(own_cache)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with a file in fixtures/golden, or rewrite it with --update-golden."""

    def compare(name: str, text: str) -> None:
        file = ROOT / "fixtures" / "golden" / name
        if request.config.getoption("--update-golden"):
            file.write_text(text)
        assert text == file.read_text()

    return compare


@pytest.fixture(scope="session")
def minilm() -> dict[str, np.ndarray]:
    """12 heads x 10 x 10 of MiniLM."""
    return read("minilm_d02_L1_n10")


@pytest.fixture(scope="session")
def smollm2() -> dict[str, np.ndarray]:
    """9 causal heads x 19 x 19 of SmolLM2, three to a key/value head."""
    return read("smollm2-causal_d06_L14_n19")


def read(name: str) -> dict[str, np.ndarray]:
    with np.load(ROOT / "fixtures" / "attention" / f"{name}.npz") as file:
        return {key: file[key] for key in ("scores", "value", "key", "kv_head", "context")}


def shared_files(pattern: str) -> list[Path]:
    """Files of the shared data set; none where it is absent."""
    return sorted(SHARED.glob(pattern))
