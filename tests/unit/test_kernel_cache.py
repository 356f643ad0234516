"""The compiler's cache: ours is pruned, and nothing that others keep beside it is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tickcast.kernels import GENERATIONS_KEPT, prepare_cache

ASK = "import tickcast.kernels as k; print(k.numba.config.CACHE_DIR)"


def test_the_oldest_generations_go(tmp_path: Path) -> None:
    for number in range(GENERATIONS_KEPT + 2):
        path = prepare_cache(tmp_path / "ours", str(number))
        os.utime(path, (number, number))
    prepare_cache(tmp_path / "ours", "newest")

    assert GENERATIONS_KEPT == len(list((tmp_path / "ours").iterdir()))
    assert (tmp_path / "ours" / "newest").is_dir()


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
