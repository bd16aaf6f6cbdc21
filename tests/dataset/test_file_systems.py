"""Verbs on file systems that lack what ours have: locks, folders that are flushed, one error for a held lock.

Where there is a C compiler a small library takes the place of the calls; it reads the error they give from the
environment at every call.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rocky_split import write_rocky

CALLS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef int (*one)(int);
typedef int (*two)(int, int);

int flock(int file, int how) {
    const char *error = getenv("FLOCK_GIVES");
    if (!error) return ((two)dlsym(RTLD_NEXT, "flock"))(file, how);
    errno = atoi(error);
    return -1;
}

int fsync(int file) {
    const char *error = getenv("FOLDER_FSYNC_GIVES");
    struct stat about;
    if (!error || fstat(file, &about) || !S_ISDIR(about.st_mode)) return ((one)dlsym(RTLD_NEXT, "fsync"))(file);
    errno = atoi(error);
    return -1;
}
"""

VERBS = """
import os, sys
from regolith.lunar import cli

def run(flock, fsync, *words, ends=0):
    for name, error in (("FLOCK_GIVES", flock), ("FOLDER_FSYNC_GIVES", fsync)):
        os.environ.pop(name, None)
        if error:
            os.environ[name] = str(error)
    assert cli.main(list(words)) == ends, words

ENOSYS, ENOLCK, EOPNOTSUPP, EINVAL, EIO, EACCES = 38, 37, 95, 22, 5, 13
run(ENOSYS, EINVAL, "export", "in", "--to", "coco", "--out", "coco")
run(ENOLCK, EOPNOTSUPP, "export", "in", "--to", "yolo-seg", "--out", "yolo")
run(EOPNOTSUPP, None, "export", "in", "--to", "voc", "--out", "voc")
run(ENOSYS, EINVAL, "import", "--images", "voc/VOCdevkit/VOC2012/JPEGImages", "--masks",
    "voc/VOCdevkit/VOC2012/SegmentationClass", "--classes", "regolith=0,rock=1,sky=2,ignore=255", "--out", "imported",
    "--split", "real")
COARSE = ["--preset", "v1", "--terrain.cell-m", "0.4", "--rocks.diameter-min-m", "0.3"]
run(ENOSYS, EINVAL, "generate", *COARSE, "--split", "val", "--frames", "1", "--size", "32", "--executor",
    "in-process", "--out", "data")
run(ENOSYS, EINVAL, "author", *COARSE, "--size", "64", "--out", "stage.usda")
run(None, None, "verify", "data")
print("refused", file=sys.stderr)
run(EIO, None, "export", "in", "--to", "voc", "--out", "broken", ends=1)
run(None, EIO, "export", "in", "--to", "voc", "--out", "broken", ends=1)
run(EACCES, None, "export", "in", "--to", "voc", "--out", "held", ends=2)
run(EACCES, None, "generate", *COARSE, "--split", "val", "--frames", "1", "--size", "32", "--out", "data",
    ends=2)
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler that makes a library to put before the system's")
    folder = tmp_path_factory.mktemp("calls")
    (folder / "calls.c").write_text(CALLS)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", "calls.so", "calls.c", "-ldl"], cwd=folder, check=True)
    return folder / "calls.so"


def test_verbs_go_on_without_and_say_so_once(tmp_path: Path, calls: Path) -> None:
    write_rocky(tmp_path / "in/val", 2, seed=1, extras=())
    environment = os.environ | {"LD_PRELOAD": str(calls)}
    done = subprocess.run(
        [sys.executable, "-c", VERBS], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    before, _, after = done.stderr.partition("refused\n")
    said = [line for line in before.splitlines() if line.startswith("regolith: ")]
    assert all(line.startswith(f"regolith: {tmp_path}") for line in said)
    assert [("no locks here" in line, "folders are not flushed here" in line) for line in said] == [
        (True, False), (False, True), (True, False), (False, True), (True, False),
    ]  # fmt: skip
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"coco", "yolo", "voc", "imported", "data", "stage.usda"} and not names & {"broken", "held"}
    assert after.count("Input/output error") == 2
    assert after.count("a folder no other run is writing to") == after.count("a split no other run is writing to") == 1
