from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dimod
import networkx as nx
import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.common.files import ENVIRONMENT
from qubo_attn.embedding.archive import export_cache, import_cache
from qubo_attn.embedding.cache import CachedPacking
from qubo_attn.embedding.cache_file import CacheFile, problem_of
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.nearest import KEPT
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.stored_graph import StoredGraph
from tests.conftest import ROOT

TARGET = qa.Target.zephyr(2)
SCORES = np.random.default_rng(5).normal(size=(2, 3, 6))


def compiled(cache: qa.EmbeddingCache, target: qa.Target = TARGET) -> qa.CompiledAttention:
    return qa.compile(SCORES, 2, select=qa.ExactlyK(2), target=target, cache=cache)


def digest(artifact: qa.CompiledAttention) -> bytes:
    return b"".join(
        part.physical.chain_qubit.tobytes() + part.physical.h.tobytes()
        for part in artifact.submissions
        if part.physical is not None
    )


def test_second_compile_hits_and_equals_the_first(tmp_path: Path) -> None:
    first = qa.EmbeddingCache(tmp_path)
    a = digest(compiled(first))
    assert (first.counts.hits, first.counts.misses, first.counts.written) == (0, 1, 1)
    second = qa.EmbeddingCache(tmp_path)
    again = compiled(second)
    assert (second.counts.hits, second.counts.misses, second.counts.bad) == (1, 0, 0)
    assert again.report().cache["hits"] == 1
    assert digest(again) == a


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "garbage", "pickle"])
def test_damage_changes_nothing_but_the_time(tmp_path: Path, damage: str) -> None:
    a = digest(compiled(qa.EmbeddingCache(tmp_path)))
    (file,) = tmp_path.glob("*/*.packing")
    data = file.read_bytes()
    file.write_bytes(
        {
            "empty": b"",
            "truncated": data[: len(data) // 2],
            "flipped": data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
            "garbage": b"not an embedding",
            "pickle": b"0" * 64 + b"\n\x80\x04N.",
        }[damage]
    )
    cache = qa.EmbeddingCache(tmp_path)
    assert digest(compiled(cache)) == a
    assert (cache.counts.hits, cache.counts.bad, cache.counts.misses) == (0, 1, 1)
    assert file.read_bytes() == data


def test_a_file_for_another_graph_is_not_believed(tmp_path: Path) -> None:
    """A well-formed file whose content does not fit the live graph is a miss."""
    cache = qa.EmbeddingCache(tmp_path)
    compiled(cache)
    lossy = qa.Target.zephyr(2, missing_qubits=0.2, seed=3)
    compiled(cache, lossy)
    ideal_file, lossy_file = sorted(
        tmp_path.glob("*/*.packing"),
        key=lambda f: "missing" in str(next(e for e in cache.entries() if e.path == f).facts),
    )
    lossy_file.write_bytes(ideal_file.read_bytes())
    fresh = qa.EmbeddingCache(tmp_path)
    again = compiled(fresh, lossy)
    assert fresh.counts.bad == 1
    assert again.placement is not None
    assert again.placement.chain_qubit.max() < len(lossy.qubits)


def test_an_unwritable_folder_warns_once_and_goes_on(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder should be")
    cache = qa.EmbeddingCache(blocked / "below")
    with pytest.warns(UserWarning, match="embeddings cannot be kept in"):
        first = compiled(cache)
    compiled(cache, qa.Target.zephyr(3))  # warnings are errors: none comes twice
    assert first.submissions


def test_the_environment_moves_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "here"))
    assert qa.EmbeddingCache().folder == tmp_path / "here"
    monkeypatch.delenv(ENVIRONMENT)
    assert qa.EmbeddingCache().folder.name == "qubo-attn"


def test_entries_and_clear(tmp_path: Path) -> None:
    cache = qa.EmbeddingCache(tmp_path)
    compiled(cache)
    (entry,) = cache.entries()
    assert entry.readable
    assert entry.facts["shape"] == "K6"
    entry.path.write_bytes(b"x")
    assert [e.readable for e in cache.entries()] == [False]
    assert cache.clear() == 1
    assert list(cache.entries()) == []


def test_another_process_hits_and_gets_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import numpy as np, qubo_attn as qa, hashlib\n"
        "s = np.random.default_rng(5).normal(size=(2, 3, 6))\n"
        "c = qa.compile(s, 2, select=qa.ExactlyK(2), target='zephyr:2')\n"
        "d = hashlib.sha256(c.submissions[0].physical.j.tobytes()).hexdigest()\n"
        "print(c.report().cache['hits'], d)\n"
    )
    seen = []
    for turn in range(3):
        folder = tmp_path / ("a" if turn < 2 else "b")
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=os.environ | {ENVIRONMENT: str(folder), "PYTHONHASHSEED": str(turn)},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.append(result.stdout.split())
    assert [hits for hits, _ in seen] == ["0", "1", "0"]
    assert len({value for _, value in seen}) == 1


# -- repair -------------------------------------------------------------------------------------


def packed(
    cache: qa.EmbeddingCache, target: qa.Target, size: int = 6, rounds: int = 100
) -> CachedPacking:
    return qa.Embed(target, cache, rounds=rounds).packing(size)


def without(target: qa.Target, count: int, seed: int = 0) -> qa.Target:
    return target.without(
        np.random.default_rng(seed).choice(target.qubits, count, replace=False), []
    )


def test_a_changed_machine_gets_its_packing_repaired(tmp_path: Path) -> None:
    first = compiled(qa.EmbeddingCache(tmp_path))
    used = TARGET.qubits[first.placement.chain_qubit[0]]
    changed = TARGET.without([used], [])
    cache = qa.EmbeddingCache(tmp_path)
    again = compiled(cache, changed)
    counts = cache.counts
    assert (counts.hits, counts.misses, counts.repaired, counts.written) == (0, 1, 1, 1)
    assert counts.copies_reused > 0
    assert counts.copies_mended + counts.copies_placed <= 4
    report = again.report()
    assert report.cache["repaired"] == 1
    assert "repaired after changes of the machine" in str(report)
    assert again.solve("anneal", seed=1).feasible.all()
    # A later process finds the repaired packing, and its report still says so.
    later = qa.EmbeddingCache(tmp_path)
    text = str(compiled(later, changed).report())
    assert (later.counts.hits, later.counts.misses) == (1, 0)
    assert "repaired earlier after changes of the machine" in text
    assert digest(compiled(later, changed)) == digest(again)


def test_repair_can_be_forbidden(tmp_path: Path) -> None:
    packed(qa.EmbeddingCache(tmp_path), TARGET)
    changed = without(TARGET, 2)
    assert packed(qa.EmbeddingCache(tmp_path), changed).how == "repaired"
    strict = qa.EmbeddingCache(tmp_path, repair=False)
    anew = packed(strict, changed)
    assert (anew.how, strict.counts.misses, strict.counts.repaired) == ("new", 1, 0)
    # What was found anew takes the place of what was repaired.
    kept = packed(qa.EmbeddingCache(tmp_path), changed)
    assert kept.how == "kept"
    assert kept.origin.repair is None
    assert np.array_equal(kept.packing.qubit, anew.packing.qubit)


def test_a_returned_qubit_or_coupler_leaves_all_copies(tmp_path: Path) -> None:
    # An ideal machine has nothing to repair: it takes what was worked out for it.
    machine = TARGET.without(TARGET.qubits[:1], [])
    coupler = machine.qubits[machine.couplers[7]]
    for lossy in (machine.without([], [coupler]), machine.without(machine.qubits[5:6], [])):
        cache = qa.EmbeddingCache(tmp_path / lossy.hash)
        before = packed(cache, lossy)
        after = packed(cache, machine)
        assert after.how == "repaired"
        assert after.origin.repair.reused == len(before.packing) == len(after.packing)


def test_other_graphs_are_repaired_too(tmp_path: Path) -> None:
    machine = qa.Target.from_graph(nx.complete_graph(60))
    cache = qa.EmbeddingCache(tmp_path)
    packed(cache, machine)
    after = packed(cache, machine.without([3], [[10, 20]]))
    assert after.how == "repaired"
    assert after.origin.repair.after == len(after.packing) >= 9


def test_the_nearest_working_graph_is_taken(tmp_path: Path) -> None:
    cache, machine = qa.EmbeddingCache(tmp_path), qa.Target.zephyr(3)
    far, near = without(machine, 6, seed=1), without(machine, 3, seed=2)
    strict = qa.EmbeddingCache(tmp_path, repair=False)
    packed(strict, far)
    packed(strict, near)
    changed = near.without(near.qubits[:1], [])
    drift = packed(cache, changed).origin.drift
    assert drift == pytest.approx(1 / len(changed.qubits))


def test_many_small_changes_end_in_embedding_anew(tmp_path: Path) -> None:
    cache, target = qa.EmbeddingCache(tmp_path), qa.Target.zephyr(3)
    first, seen = packed(cache, target), []
    for seed in range(8):
        target = without(target, 3, seed)
        kept = packed(cache, target)
        assert kept.packing.fits(target)
        seen.append(kept.how)
        if kept.how == "repaired":
            least = kept.origin.copies * (KEPT - 4 * kept.origin.drift)
            assert len(kept.packing) >= int(least)
            assert kept.origin.copies == len(first.packing)
        else:
            first = kept
    assert seen[0] == "repaired"
    assert "new" in seen
    # Too far at once: nothing to repair.
    assert packed(cache, without(target, 30)).how == "new"


@pytest.mark.parametrize(("share", "how"), [(0.9, "repaired"), (1.0, "new")])
def test_too_many_copies_lost_end_in_embedding_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, how: str
) -> None:
    """Every qubit is in one of ten copies: one must go, which the bound allows or not."""
    machine = qa.Target.from_graph(nx.complete_graph(60))
    monkeypatch.setattr("qubo_attn.embedding.nearest.KEPT", share)
    monkeypatch.setattr("qubo_attn.embedding.nearest._PER_SHARE", 0.0)
    cache = qa.EmbeddingCache(tmp_path)
    assert len(packed(cache, machine).packing) == 10
    after = packed(cache, machine.without([3], []))
    assert (after.how, len(after.packing)) == (how, 9)


def test_packings_of_other_options_are_not_repaired(tmp_path: Path) -> None:
    cache = qa.EmbeddingCache(tmp_path)
    packed(cache, TARGET, rounds=50)
    assert packed(cache, without(TARGET, 1), rounds=60).how == "new"


def test_damaged_neighbours_are_passed_over(tmp_path: Path) -> None:
    packed(qa.EmbeddingCache(tmp_path), TARGET)
    (file,) = tmp_path.glob("*/*.packing")
    for damaged in (b"", b"x" * 100, file.read_bytes()[:-5]):
        file.write_bytes(damaged)
        cache = qa.EmbeddingCache(tmp_path)
        assert packed(cache, without(TARGET, 1)).how == "new"
        (other,) = set(tmp_path.glob("*/*.packing")) - {file}
        other.unlink()


# -- the folder ---------------------------------------------------------------------------------


def test_files_not_used_for_longest_go_first(tmp_path: Path) -> None:
    cache = qa.EmbeddingCache(tmp_path)
    paths = {}
    for size in (3, 4, 5):
        packed(cache, TARGET, size, rounds=1)
        (new,) = set(tmp_path.glob("*/*.packing")) - set(paths.values())
        paths[size] = new
        os.utime(new, (size, size))
    # Reading counts as use.
    packed(qa.EmbeddingCache(tmp_path), TARGET, 3, rounds=1)
    used = sum(path.stat().st_size for path in paths.values())
    tight = qa.EmbeddingCache(tmp_path, limit=used)
    packed(tight, TARGET, 6, rounds=1)
    assert paths[3].exists()
    assert not paths[4].exists()
    assert tight.counts.evicted >= 1
    assert tight.report()["evicted"] == tight.counts.evicted
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*.packing")) <= used
    with pytest.raises(qa.InputError, match="limit must be a whole number of at least 0, not -1"):
        qa.EmbeddingCache(tmp_path, limit=-1)
    # Without room nothing is kept, and everything works.
    none = qa.EmbeddingCache(tmp_path / "none", limit=0)
    assert packed(none, TARGET, 4, rounds=1).how == "new"
    assert list(none.entries()) == []


def test_what_killed_writers_left_is_swept_after_an_hour(tmp_path: Path) -> None:
    cache = qa.EmbeddingCache(tmp_path)
    packed(cache, TARGET, 3, rounds=1)
    (folder,) = tmp_path.iterdir()
    old, young = (folder / f".host-{n}.qubo-attn-part" for n in (1, 2))
    other = folder / ".theirs.part"
    for file in (old, young, other):
        file.write_bytes(b"half")
    long_ago = time.time() - 2 * 3600
    os.utime(old, (long_ago, long_ago))
    os.utime(other, (long_ago, long_ago))
    packed(cache, TARGET, 4, rounds=1)
    assert not old.exists()
    assert young.exists()
    assert other.exists()
    assert len(list(cache.entries())) == 2


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_others_may_read_what_one_wrote(tmp_path: Path) -> None:
    packed(qa.EmbeddingCache(tmp_path), TARGET, 3, rounds=1)
    (file,) = tmp_path.glob("*/*.packing")
    mask = os.umask(0)
    os.umask(mask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~mask


def test_verify_names_each_bad_file(tmp_path: Path) -> None:
    cache = qa.EmbeddingCache(tmp_path)
    lossy = without(TARGET, 30)
    for machine in (TARGET, lossy):
        for size in (3, 5):
            packed(cache, machine, size, rounds=1)
    assert [problem for _, problem in cache.verify()] == [""] * 4
    assert len(list(cache.verify(lossy))) == 2
    three, five = sorted(tmp_path.glob(f"*/{TARGET.hash}*"))
    data = three.read_bytes()
    three.write_bytes(five.read_bytes())
    five.write_bytes(data[:-1] + b"!")
    bad = {path: problem for path, problem in cache.verify() if problem}
    assert set(bad) == {three, five}
    assert bad[three].startswith("it is the content of K5-")
    assert bad[five] == "its checksum does not match: the file is damaged"
    assert {path for path, problem in cache.verify(TARGET) if problem} == {three, five}
    assert {path for path, problem in cache.verify(lossy) if problem} == set()


def test_verify_checks_chains_and_graph(tmp_path: Path) -> None:
    cache = qa.EmbeddingCache(tmp_path)
    packing = packed(cache, TARGET, 4, rounds=1).packing
    (file,) = tmp_path.glob("*/*.packing")
    entry = CacheFile.from_bytes(file.read_bytes())
    assert entry.problem() == entry.problem(TARGET) == ""
    assert entry.problem(qa.Target.zephyr(3)).startswith("its working graph is not the one")

    def changed(**columns: object) -> CacheFile:
        return CacheFile(**vars(entry) | columns)

    swapped = entry.numbers.qubit.copy()
    swapped[[0, -1]] = swapped[[-1, 0]]
    numbers = Packing(Component(4), packing.ptr, swapped)
    assert changed(numbers=numbers).problem() == "its chains do not fit the machine"
    assert (
        changed(facts=entry.facts | {"qubits": 9}).problem()
        == "its counts of qubits and couplers are wrong"
    )
    gone = StoredGraph("zephyr", (2, 4), True, np.arange(160), np.zeros((0, 2), np.int64))
    assert "no working qubit is left" in changed(graph=gone).problem()
    short = changed(numbers=Packing(Component(4), packing.ptr[:-1], entry.numbers.qubit))
    assert "do not belong together" in problem_of(short.to_bytes(), short.name)
    older = json.loads(file.read_bytes().split(b"\n")[1])
    assert older["shape"] == "K4"


def test_an_entry_of_another_version_is_a_miss(tmp_path: Path) -> None:
    import hashlib

    packed(qa.EmbeddingCache(tmp_path), TARGET, 4, rounds=1)
    (file,) = tmp_path.glob("*/*.packing")
    body = file.read_bytes().split(b"\n", 1)[1].replace(b'"format": 4', b'"format": 9')
    file.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    cache = qa.EmbeddingCache(tmp_path)
    ((_, problem),) = cache.verify()
    assert problem == "it has format 9, this version of qubo-attn reads 4"
    assert packed(cache, TARGET, 4, rounds=1).how == "new"
    assert cache.counts.bad == 1


def test_the_graph_id_of_a_live_solver_is_kept(tmp_path: Path) -> None:
    graph = TARGET.graph()
    sampler = dimod.StructureComposite(dimod.NullSampler(), list(graph), list(graph.edges))
    sampler.properties.update({"topology": {"type": "zephyr", "shape": [2, 4]}, "chip_id": "chip"})
    sampler.solver = SimpleNamespace(graph_id="01ab23")
    target = qa.Target.of(sampler)
    assert target.hash == TARGET.hash
    cache = qa.EmbeddingCache(tmp_path)
    packed(cache, target, 3, rounds=1)
    (entry,) = cache.entries()
    assert (entry.facts["graph_id"], entry.facts["label"]) == ("01ab23", "chip")


# -- archives -----------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    cache = qa.EmbeddingCache(tmp_path / "from")
    for size in (3, 5):
        packed(cache, TARGET, size, rounds=1)
    assert export_cache(cache, tmp_path / "cache.zip") == (2, {})
    return tmp_path / "cache.zip"


def test_an_archive_carries_a_cache(archive: Path, tmp_path: Path) -> None:
    data = archive.read_bytes()
    cache = qa.EmbeddingCache(tmp_path / "to")
    assert import_cache(cache, archive) == (2, 0, {})
    assert import_cache(cache, archive) == (0, 2, {})
    assert packed(cache, TARGET, 5, rounds=1).how == "kept"
    export_cache(cache, archive)
    assert archive.read_bytes() == data


def test_a_bad_file_never_replaces_a_good_one(archive: Path, tmp_path: Path) -> None:
    cache = qa.EmbeddingCache(tmp_path / "from")
    first, second = sorted(cache.folder.glob("*/*.packing"))
    good = first.read_bytes()
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        bad.writestr(f"{first.parent.name}/{first.name}", good[:-1] + b"!")
        bad.writestr(f"{second.parent.name}/{second.name}", good)
    taken, known, problems = import_cache(cache, tmp_path / "bad.zip")
    assert (taken, known, len(problems)) == (0, 0, 2)
    assert first.read_bytes() == good
    # But a good file replaces a bad one.
    first.write_bytes(b"damaged")
    assert import_cache(cache, archive) == (1, 1, {})
    assert first.read_bytes() == good
    # And export leaves bad ones out.
    second.write_bytes(b"damaged")
    written, problems = export_cache(cache, tmp_path / "good.zip")
    assert written == 1
    assert list(problems) == [f"{second.parent.name}/{second.name}"]


@pytest.mark.parametrize(
    "name",
    ["../evil.packing", "/tmp/evil.packing", "K3/../../evil.packing", "C:\\evil.packing", "", "a"],
)
def test_names_that_lead_elsewhere_are_refused(archive: Path, tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(archive) as good:
        data = good.read(good.namelist()[0])
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as evil:
        evil.writestr(zipfile.ZipInfo(name or "x"), data)
    cache = qa.EmbeddingCache(tmp_path / "inner" / "to")
    taken, known, problems = import_cache(cache, tmp_path / "evil.zip")
    assert (taken, known) == (0, 0)
    assert list(problems.values()) == ["it is not named like a file of the cache"]
    assert list(tmp_path.rglob("*evil.packing")) == []


def test_archives_that_do_not_unpack(archive: Path, tmp_path: Path) -> None:
    cache = qa.EmbeddingCache(tmp_path / "to")
    broken = tmp_path / "broken.zip"
    data = archive.read_bytes()
    broken.write_bytes(data[:60] + bytes(50) + data[110:])
    taken, _, problems = import_cache(cache, broken)
    assert taken + len(problems) == 2
    assert problems
    for part in (data[: len(data) // 2], data[:40]):
        broken.write_bytes(part)
        with pytest.raises(qa.InputError, match=r"broken\.zip is not a zip archive"):
            import_cache(cache, broken)
    with pytest.raises(qa.InputError, match=r"there is no file .*absent\.zip"):
        import_cache(cache, tmp_path / "absent.zip")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
def test_killed_writers_leave_a_good_cache() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "torture.py"), "--rounds", "2", "--json"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    facts = json.loads(result.stdout.splitlines()[-1])
    assert (facts["wrong"], facts["crashed"], facts["unreadable"]) == (0, 0, 0)
    assert facts["compiled"] + facts["killed"] == 2 * 8


def resealed(data: bytes, change: Callable[[dict[str, Any], list[int]], bytes]) -> bytes:
    """Return a file of the cache with other facts and columns, and a checksum that is right."""
    _, line, packed = data.split(b"\n", 2)
    facts = json.loads(line)
    numbers = np.frombuffer(zlib.decompress(packed), "<i8").tolist()
    columns = change(facts, numbers)
    body = json.dumps(facts, sort_keys=True).encode() + b"\n" + columns
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def columns_of(numbers: list[int]) -> bytes:
    return zlib.compress(np.array(numbers, "<i8").tobytes())


def bomb(facts: dict[str, Any], numbers: list[int]) -> bytes:
    """State half a gigabyte of columns, and pack them into half a megabyte."""
    facts["columns"] = [["number", 1 << 26]]
    packing = zlib.compressobj(1)
    block = bytes(1 << 24)
    return b"".join(packing.compress(block) for _ in range(32)) + packing.flush()


def hidden_bomb(facts: dict[str, Any], numbers: list[int]) -> bytes:
    """State few columns, and pack many."""
    return columns_of([0] * (1 << 24))


def huge_clique(facts: dict[str, Any], numbers: list[int]) -> bytes:
    facts["shape"] = "K1000000000"
    return columns_of(numbers)


def empty_packing(facts: dict[str, Any], numbers: list[int]) -> bytes:
    facts |= {"shape": "K16000", "copies": 0, "columns": [["couplers", 0], ["number", 0]]}
    facts["columns"] += [["ptr", 1], ["qubits", 0]]
    return columns_of([0])


def edges_far_out(facts: dict[str, Any], numbers: list[int]) -> bytes:
    edges = np.array([[10**8], [10**8 + 1]], "<i8")
    facts["shape"] = f"S6-{hashlib.sha256(edges.tobytes()).hexdigest()[:32]}"
    facts["columns"] = [["i", 1], ["j", 1], *facts["columns"]]
    return columns_of([10**8, 10**8 + 1, *numbers])


def nested(facts: dict[str, Any], numbers: list[int]) -> bytes:
    facts["origin"] = None
    return columns_of(numbers)


@pytest.mark.parametrize(
    "change", [bomb, hidden_bomb, huge_clique, empty_packing, edges_far_out, nested]
)
def test_hostile_files_are_misses_within_bounds(
    tmp_path: Path, change: Callable[[dict[str, Any], list[int]], bytes]
) -> None:
    good = digest(compiled(qa.EmbeddingCache(tmp_path)))
    (file,) = tmp_path.glob("*/*.packing")
    data = resealed(file.read_bytes(), change)
    file.write_bytes(data)
    tracemalloc.start()
    cache = qa.EmbeddingCache(tmp_path, repair=False)
    ((_, problem),) = cache.verify()
    assert problem
    assert [entry.readable for entry in cache.entries()] == [False]
    # The file itself, and what it may inflate to.
    assert tracemalloc.get_traced_memory()[1] < 3 * len(data) + (1 << 24)
    tracemalloc.stop()
    assert digest(compiled(cache)) == good
    assert (cache.counts.bad, cache.counts.misses, cache.counts.hits) == (1, 1, 0)


def test_facts_nested_too_deep_are_a_miss(tmp_path: Path) -> None:
    compiled(qa.EmbeddingCache(tmp_path))
    (file,) = tmp_path.glob("*/*.packing")
    body = b"[" * 10**5 + b"\n"
    file.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    assert [entry.readable for entry in qa.EmbeddingCache(tmp_path).entries()] == [False]


def test_files_too_large_are_not_read(tmp_path: Path) -> None:
    good = digest(compiled(qa.EmbeddingCache(tmp_path)))
    (file,) = tmp_path.glob("*/*.packing")
    with file.open("r+b") as stream:
        stream.truncate(3 << 30)  # a hole: it takes no room on the disk
    cache = qa.EmbeddingCache(tmp_path)
    assert [problem for _, problem in cache.verify()] == [
        f"it does not read ([Errno 27] File too large: '{file}')"
    ]
    assert digest(compiled(cache)) == good


def test_a_full_disk_warns_once_and_goes_on(tmp_path: Path) -> None:
    good = digest(compiled(qa.EmbeddingCache(tmp_path / "good")))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    cache = qa.EmbeddingCache(tmp_path / "full")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.warns(UserWarning, match="embeddings cannot be kept in .*too large"):
            made = compiled(cache)
        with pytest.raises(qa.InputError, match=r"out.zip cannot be written: File too large"):
            export_cache(qa.EmbeddingCache(tmp_path / "good"), tmp_path / "out.zip")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert digest(made) == good
    assert list((tmp_path / "full").glob("*/*")) == []
    assert not (tmp_path / "out.zip").exists()


def test_a_cache_that_cannot_be_written_is_named_by_import(tmp_path: Path) -> None:
    compiled(qa.EmbeddingCache(tmp_path / "some"))
    export_cache(qa.EmbeddingCache(tmp_path / "some"), tmp_path / "good.zip")
    (tmp_path / "blocked").write_text("")
    with pytest.raises(qa.InputError, match=r"blocked.* cannot be written: Not a directory"):
        import_cache(qa.EmbeddingCache(tmp_path / "blocked"), tmp_path / "good.zip")
