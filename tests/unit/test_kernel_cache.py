"""The compiler's cache: ours is pruned, and nothing that others keep beside it is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from tickcast.kernel_cache import GENERATIONS_KEPT, Generation

ASK = "import tickcast.kernels as k; print(k.numba.config.CACHE_DIR)"


def test_the_oldest_generations_go(tmp_path: Path) -> None:
    for number in range(GENERATIONS_KEPT + 2):
        generation = Generation(tmp_path / "ours", str(number))
        generation.close()
        os.utime(generation.path, (number, number))
    Generation(tmp_path / "ours", "newest").close()

    assert GENERATIONS_KEPT == len([path for path in (tmp_path / "ours").iterdir() if path.is_dir()])
    assert (tmp_path / "ours" / "newest").is_dir()


def test_a_generation_that_a_process_uses_is_never_taken_away(tmp_path: Path) -> None:
    used = Generation(tmp_path, "0")
    os.utime(used.path, (0, 0))
    for number in range(1, GENERATIONS_KEPT + 3):
        generation = Generation(tmp_path, str(number))
        generation.close()
        os.utime(generation.path, (number, number))
    while_used = used.path.is_dir()
    used.close()
    Generation(tmp_path, "newest").close()

    assert while_used
    assert not used.path.exists()


def test_processes_of_other_sources_that_start_meanwhile_leave_a_running_one_its_kernels(tmp_path: Path) -> None:
    """An editor's worktrees share a cache: each start of changed sources makes a generation of its own."""
    waits = ASK + "; print(flush=True); input(); print(k.folder().is_dir())"
    first = subprocess.Popen(
        [sys.executable, "-uc", waits], env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert first.stdout is not None
    used = Path(first.stdout.readline().strip())
    os.utime(used, (0, 0))
    starts = """
        import sys
        from pathlib import Path
        from tickcast.kernel_cache import Generation
        for number in range(20):
            Generation(Path(sys.argv[1]), f"{sys.argv[2]}-{number}").close()
    """
    others = [
        subprocess.Popen([sys.executable, "-c", dedent(starts), str(used.parent), str(number)]) for number in range(3)
    ]
    ended = [other.wait(120) for other in others]
    said, _ = first.communicate("\n", timeout=120)

    assert [0, 0, 0] == ended
    assert "True" == said.split()[-1]


TWO_SIGNATURES = """
    import sys
    import time
    import numpy as np
    from numba.core.caching import IndexDataCacheFile
    sys.path.insert(0, sys.argv[1])
    from planted import doubled

    save_index = IndexDataCacheFile._save_index

    def slowly(self, overloads):  # the others have the time to take the same number
        time.sleep(0.5)
        save_index(self, overloads)

    IndexDataCacheFile._save_index = slowly
    print("ready", flush=True)
    input()
    said = [str(doubled(np.array([3], kind))) for kind in sys.argv[2:]]
    print(*said, sum(doubled.stats.cache_hits.values()))
"""
PLANTED = """
from tickcast.kernels import kernel

@kernel
def doubled(numbers):
    return numbers[0] * 2
"""


def ask_doubled(folder: Path, *kinds: list[str]) -> list[str]:
    """Several processes that call the same kernel at the same time, each with numbers of its own kinds."""
    (folder / "planted.py").write_text(PLANTED)
    asked = [
        subprocess.Popen(
            [sys.executable, "-c", dedent(TWO_SIGNATURES), str(folder), *names],
            env=os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache")},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for names in kinds
    ]  # fmt: skip
    for one in asked:
        assert one.stdout is not None
        one.stdout.readline()
    for one in asked:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    return [one.communicate(timeout=120)[0].strip() for one in asked]


def test_processes_that_compile_at_once_find_their_own_code_later(tmp_path: Path) -> None:
    """Numba numbers the files of a kernel's signatures: two that save at once must not take the same number."""
    assert ["6.0 0", "6 0"] == ask_doubled(tmp_path, ["float64"], ["int64"])
    assert ["6.0 6 2"] == ask_doubled(tmp_path, ["float64", "int64"])


def test_a_cache_that_is_emptied_under_a_running_process_is_made_again_and_one_that_can_not_be_is_told(
    tmp_path: Path,
) -> None:
    script = """
        import shutil, sys
        import numpy as np
        import tickcast.kernels as kernels
        sys.path.insert(0, sys.argv[1])
        from planted import doubled
        shutil.rmtree(kernels.folder())
        print(doubled(np.array([3])), len(list(kernels.folder().rglob("*.nbc"))))
        shutil.rmtree(kernels.folder())
        kernels.folder().write_text("a file where the folder was")
        print(doubled(np.array([3.0])))
    """
    (tmp_path / "planted.py").write_text(PLANTED)
    ran = subprocess.run(
        [sys.executable, "-c", dedent(script), str(tmp_path)],
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ["6 1", "6.0"] == ran.stdout.splitlines(), ran.stderr[-2000:]
    assert 1 == ran.stderr.count("can not be kept")


def test_a_cache_folder_that_is_shared_keeps_what_others_put_there(tmp_path: Path) -> None:
    theirs = [tmp_path / name for name in ("a", "b", "c", "d", "e")]
    for path in theirs:
        path.mkdir()
        (path / "kept").write_text("")
    ran = subprocess.run(
        [sys.executable, "-c", ASK], env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert all((path / "kept").exists() for path in theirs)
    assert Path(ran.stdout.strip()).is_relative_to(tmp_path)


def test_without_a_place_for_it_the_cache_is_a_folder_of_our_own_and_goes_with_us(tmp_path: Path) -> None:
    """A name that others can guess, in a folder that others can write to, would let them hand us code."""
    (tmp_path / "file").write_text("")
    (tmp_path / "tmp").mkdir()
    environ = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path / "tmp")}
    environ.pop("NUMBA_CACHE_DIR", None)
    script = ASK + "; import os; print(oct(os.stat(k.numba.config.CACHE_DIR).st_mode)[-3:])"
    ran = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    where, mode = ran.stdout.split()

    assert Path(where).is_relative_to(tmp_path / "tmp")
    assert "700" == mode
    assert not Path(where).exists()
