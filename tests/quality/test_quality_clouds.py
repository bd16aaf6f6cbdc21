"""Clouds out of files and frames: what others wrote is read, what does not fit is one line."""

import io
import os
import sys
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import laspy
import numpy as np
import pytest
import trimesh
from hostile import examples, right_or_one_line, torn
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "dataset"))

from rocky_split import write_rocky  # pyright: ignore[reportMissingImports]
from small_split import write_split  # pyright: ignore[reportMissingImports]

from regolith.lunar.dataset.export import export
from regolith.lunar.dataset.formats.pointcloud import save_arrays
from regolith.lunar.jobs.confined import run_confined
from regolith.lunar.labels import IGNORE, ROCK, SKY
from regolith.lunar.params import InputError
from regolith.lunar.perception.importing import read_class_map
from regolith.lunar.quality import clouds as room
from regolith.lunar.quality import laser, point_files
from regolith.lunar.quality.clouds import read_cloud, read_clouds
from regolith.lunar.quality.point_files import READERS

POINTS = np.array([[0.5, 1.25, -2.0], [3.0, 4.0, 5.0], [-1.5, 0.25, 8.0]])
CLASSES = np.array([0, 1, 0], np.uint8)
PLY_ASCII = """ply
format ascii 1.0
comment by hand
element camera 1
property float focal
element vertex 3
property float x
property uchar class
property double y
property float z
element face 1
property list uchar int vertex_indices
end_header
35.0
0.5 0 1.25 -2
3 1 4 5
-1.5 0 0.25 8
3 0 1 2
"""


def las(path: Path, codes: np.ndarray = CLASSES) -> None:
    header = laspy.LasHeader(point_format=6, version="1.4")
    header.scales = np.full(3, 0.001)
    found = laspy.LasData(header)
    found.x, found.y, found.z = POINTS.T
    found.classification = codes
    found.write(str(path))


def ply(path: Path, order: str) -> None:
    """A binary PLY of either byte order, another element first."""
    kind = "little" if order == "<" else "big"
    lines = PLY_ASCII.replace("ascii", f"binary_{kind}_endian").split("end_header\n")[0] + "end_header\n"
    rows = np.zeros(3, [("x", f"{order}f4"), ("class", "u1"), ("y", f"{order}f8"), ("z", f"{order}f4")])
    rows["class"] = CLASSES
    for axis, values in zip("xyz", POINTS.T, strict=True):
        rows[axis] = values
    path.write_bytes(lines.encode() + np.array(35, f"{order}f4").tobytes() + rows.tobytes() + b"\x03" + bytes(12))


def write(folder: Path, name: str) -> Path:
    """A file of `POINTS` and `CLASSES` by name."""
    path = folder / name
    if path.suffix == ".npz":
        np.savez_compressed(path, **{"points": POINTS.astype(np.float32), "class": CLASSES})
    elif name == "text.ply":
        path.write_text(PLY_ASCII)
    elif path.suffix == ".ply":
        ply(path, "<" if name == "little.ply" else ">")
    elif path.suffix == ".xyz":
        path.write_text("# by hand\n0.5,1.25,-2,0\n3 4 5 1\n\n-1.5 0.25 8 0 // last\n")
    else:
        las(path)
    return path


NAMES = ("a.npz", "text.ply", "little.ply", "big.ply", "a.xyz", "a.las", "a.laz")


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_is_read(tmp_path: Path, name: str) -> None:
    cloud = read_cloud(write(tmp_path, name), field="real", classes=read_class_map("regolith=0,rock=1"))
    assert cloud.points.dtype == np.float64 and np.abs(cloud.points - POINTS).max() < 1e-9
    assert cloud.classes is not None and cloud.classes.tolist() == CLASSES.tolist()
    assert cloud.of(ROCK).tolist() == [[3, 4, 5]] and len(cloud.of(SKY)) == 0
    assert (cloud.origin == 0).all() and cloud.name == name


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_what_trimesh_writes(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(trimesh.PointCloud(POINTS).export(file_type="ply", encoding=encoding))  # type: ignore[arg-type]
    cloud = read_cloud(path, field="real")
    assert np.abs(cloud.points - POINTS).max() < 1e-6 and cloud.classes is None


def test_codes_of_a_laser_survey_are_no_classes(tmp_path: Path) -> None:
    """LAS has a code for ground and none for rock: nothing is guessed, and `--classes` says what they are."""
    las(tmp_path / "a.las", np.array([2, 64, 7], np.uint8))
    assert read_cloud(tmp_path / "a.las", field="real").classes is None
    cloud = read_cloud(tmp_path / "a.las", field="real", classes=read_class_map("regolith=2,rock=64,ignore=7"))
    assert cloud.classes is not None and cloud.classes.tolist() == [0, 1] and len(cloud.points) == 2


def test_coordinates_far_off_keep_their_millimetres(tmp_path: Path) -> None:
    far = POINTS + np.array([4_500_000.125, 5_600_000.5, 0])
    np.savez(tmp_path / "a.npz", points=far)
    assert (read_cloud(tmp_path / "a.npz", field="real").points == far).all()


def test_points_without_a_place_or_class_are_left_out(tmp_path: Path) -> None:
    points = np.vstack([POINTS, [[np.nan, 0, 0], [np.inf, 0, 0]]])
    save_arrays(tmp_path / "a.npz", {"points": points, "class": np.array([0, IGNORE, 1, 0, 0])})
    cloud = read_cloud(tmp_path / "a.npz", field="real")
    assert cloud.points.tolist() == POINTS[[0, 2]].tolist()


def test_frames_and_their_export_are_the_same_clouds(tmp_path: Path) -> None:
    """By way of depth and mask, and by way of files: points, classes, and where the camera stood."""
    write_split(tmp_path / "val", 3)
    export(tmp_path / "val", tmp_path / "out", to="pointcloud")
    frames, files = read_clouds(tmp_path / "val", field="x"), read_clouds(tmp_path / "out/val", field="x")
    assert len(frames) == len(files) == 3
    for frame, file in zip(frames, files, strict=True):
        assert np.abs(frame.points - file.points).max() < 1e-5
        assert frame.classes is not None and file.classes is not None and (frame.classes == file.classes).all()
        assert not (frame.classes == IGNORE).any() and np.allclose(frame.origin, [0, 0, 2])
        assert np.allclose(frame.origin, file.origin)
    assert len({frame.place for frame in frames}) == 1, "three frames of one scene"
    assert len({file.place for file in files}) == 3


def test_folders_datasets_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("b.xyz", "a.xyz", "c.npz"):
        write(folder, name)
    (folder / "notes.txt").touch()
    assert [cloud.name for cloud in read_clouds(folder, field="x")] == ["a.xyz", "b.xyz", "c.npz"]
    both = f"{folder / 'c.npz'},{folder / 'a.xyz'}"
    assert [cloud.name for cloud in read_clouds(Path(both), field="x")] == ["c.npz", "a.xyz"]
    write_split(tmp_path / "data/val", 2)
    write_split(tmp_path / "data/train_dr", 2, split="train_dr")
    assert len(read_clouds(tmp_path / "data", field="x")) == 4
    monkeypatch.setattr(room, "CLOUDS_MAX", 2)
    monkeypatch.setattr(room, "HELD_MAX", 4)
    few = read_clouds(folder, field="x")
    assert [(cloud.name, len(cloud.points)) for cloud in few] == [("a.xyz", 2), ("b.xyz", 2)]


def npy_claims(shape: tuple[int, ...]) -> bytes:
    """A `.npz` whose header says more than its 24 bytes hold."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("points.npy", stream.getvalue() + bytes(24))
    return held.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


VERTICES = (
    "ply\nformat ascii 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
)
BAD = {
    "empty.npz": (b"", "File is not a zip file"),
    "other.npz": (npz(rays=POINTS), "no array points_world or points"),
    "flat.npz": (npz(points=POINTS[:, :2]), r"points of shape \[3, 2\], should be \[N, 3\]"),
    "words.npz": (npz(points=np.array(["a", "b"])), "points of type <U1, should be numbers"),
    "objects.npz": (npz(points=np.array([None, 1], object)), "points of type object"),
    "short.npz": (npy_claims((9, 3)), "points is cut short"),
    "many.npz": (npy_claims((10**9, 3)), "1,000,000,000 points, more than 16,000,000"),
    "wide.npz": (npy_claims((3, 10**12)), "points of 24000000000000 bytes"),
    "class.npz": (npz(points=POINTS, **{"class": np.array([0, 9, 0])}), "class 9 is none of classes: 0, 1, 2, 255"),
    "half.npz": (npz(points=POINTS, **{"class": np.array([0])}), r"classes of shape \[1\], should be \[3\]"),
    "pose.npz": (npz(points=POINTS, camera_to_world=np.eye(3)), "camera_to_world is no finite"),
    "nan.npz": (npz(points=np.full((3, 3), np.nan)), "no finite point of a class"),
    "none.npz": (npz(points=np.zeros((0, 3))), "no finite point of a class"),
    "far.npz": (npz(points=POINTS * 1e9), r"a coordinate beyond 1e\+08 m"),
    "empty.ply": (b"", "no header of a PLY file"),
    "endless.ply": (b"ply\n" + b"comment x\n" * 20_000, "no header of a PLY file"),
    "format.ply": (b"ply\nformat ascii 2.0\nend_header\n", "a header line 'format ascii 2.0'"),
    "bare.ply": (b"ply\nend_header\n", "no format in the header"),
    "faces.ply": (b"ply\nformat ascii 1.0\nelement face 1\nproperty int a\nend_header\n", "no vertices"),
    "lists.ply": (PLY_ASCII.replace("float focal", "list uchar int focal").encode(), "lists in camera"),
    "axes.ply": (VERTICES.format(1).replace("float z", "float w").encode(), "vertices without x, y, z"),
    "twice.ply": (VERTICES.format(1).replace("float z", "float x").encode(), "occurs more than once"),
    "short.ply": (VERTICES.format(2).encode() + b"1 2 3\n", "1 vertices of 3 numbers, should be 2 of 3"),
    "void.ply": (VERTICES.format(2).encode(), "0 vertices"),
    "text.ply": (VERTICES.format(1).encode() + b"1 2 x\n", "could not convert string 'x'"),
    "many.ply": (VERTICES.format(10**15).encode(), "1,000,000,000,000,000 points, more than"),
    "cut.ply": (VERTICES.format(9).replace("ascii", "binary_little_endian").encode() + bytes(40), "cut short"),
    "empty.xyz": (b"", "lines of 0 numbers"),
    "two.xyz": (b"1 2\n", "lines of 2 numbers, should be x y z, or x y z class"),
    "colours.xyz": (b"1 2 3 4 5 6\n", "lines of 6 numbers"),
    "ragged.xyz": (b"1 2 3\n1 2\n", "number of columns changed from 3 to 2"),
    "shade.xyz": (b"1 2 3 0.5\n", "class 0.5 is none of"),
    "words.xyz": (b"x y z\n1 2 3\n", "could not convert string 'x'"),
    "letters.xyz": ("1 2 3 # Å\n".encode("latin1"), "'ascii' codec can't decode"),
    "empty.las": (b"", "no header of a LAS file"),
    "text.laz": (b"x" * 400, "no header of a LAS file"),
    "endless.las": (b"LASF" + b"\xff" * 400, "4294967295 records in 404 bytes"),
    "mesh.obj": (b"v 0 0 0\n", r"a file of points: \.npz, \.ply, \.xyz, \.las, \.laz"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_cloud_is_one_line(tmp_path: Path, name: str) -> None:
    content, why = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=why):
        read_cloud(tmp_path / name, field="real")
    assert not right_or_one_line(lambda: read_cloud(tmp_path / name, field="real"))


@pytest.mark.parametrize("ending", [".laz", ".las"])
@pytest.mark.parametrize("place", [-74, -56, -44])
def test_what_a_laz_file_makes_its_unpacker_take_is_bounded(tmp_path: Path, place: int, ending: str) -> None:
    """Sizes it states of its parts, after the points; whatever the file is called."""
    content = bytearray(write(tmp_path, "a.laz").read_bytes())
    content[place : place + 4] = b"\xff\xff\xff\x7f"
    path = tmp_path / f"hostile{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="takes more memory or time to unpack"):
        read_cloud(path, field="real")
    assert not list(Path(tempfile.gettempdir()).glob(f"regolith-*-{os.getpid()}-*"))


@pytest.mark.parametrize(("written", "name"), [("a.las", "b.laz"), ("a.laz", "b.las")])
def test_what_is_compressed_shows_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, name: str
) -> None:
    """Only what is, whatever its name, takes a process of its own to unpack."""
    path = write(tmp_path, written).rename(tmp_path / name)
    confined = []
    monkeypatch.setattr(
        laser, "run_confined", lambda *args, **kwargs: (confined.append(args), run_confined(*args, **kwargs))
    )
    cloud = read_cloud(path, field="real")
    assert np.abs(cloud.points - POINTS).max() < 1e-9 and len(confined) == (written == "a.laz")


def peak(read: Callable[[], object]) -> int:
    """Most bytes of Python and numpy that reading held, beside what was held before."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


LONG = {
    "numbers.xyz": b"1 2 3 " * 700_000,
    "numbers.ply": VERTICES.format(1).encode() + b"1 2 3 " * 700_000,
    "skipped.ply": VERTICES.replace("vertex", "camera 1\nproperty float a\nelement vertex").format(1).encode()
    + b"1" * 4_000_000 + b"\n1 2 3\n",
}  # fmt: skip
"""Files of one line of 4 MB."""


@pytest.mark.parametrize("name", LONG)
def test_a_line_of_numbers_is_short(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(LONG[name])

    def read() -> None:
        with pytest.raises(InputError, match="a line of more than 1,000 characters"):
            read_cloud(path, field="real")

    assert peak(read) < 1_000_000


def lines(row: str) -> bytes:
    return f"{row}\n".encode() * LINES


LINES = 200_000
VERTEX = VERTICES.replace("float x", "uchar class\nproperty float x").format(LINES)
WIDE = "".join(f"property float a{number}\n" for number in range(20))
LARGE = {
    "bare.xyz": lines("1 2 3"),
    "class.xyz": lines("1 2 3 0"),
    "text.ply": VERTEX.encode() + lines("0 1 2 3"),
    "wide.ply": VERTEX.replace("end_", WIDE + "end_").encode() + lines("0 1 2 3" + " 4" * 20),
    "binary.ply": VERTEX.replace("ascii", "binary_little_endian").encode() + bytes(13 * LINES),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_a_large_file_takes(tmp_path: Path, name: str) -> None:
    """64 bytes a point, so that `POINTS_MAX` of them stay within a gigabyte, beside the lines read at once."""
    path = tmp_path / name
    path.write_bytes(LARGE[name])
    cloud = read_cloud(path, field="real")
    assert len(cloud.points) == LINES and (cloud.points == cloud.points[0]).all()
    assert (name == "bare.xyz") == (cloud.classes is None)
    assert peak(lambda: read_cloud(path, field="real")) < 64 * LINES + 4_000_000


def test_archives_of_bounded_size_and_number_of_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry takes 46 bytes of the directory, and an object each once it is opened."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number}.npy", b"")

    def read() -> None:
        with pytest.raises(InputError, match="an archive of more than 1,000 entries"):
            read_cloud(path, field="real")

    assert peak(read) < 4_000_000
    monkeypatch.setattr(point_files, "FILE_BYTES", 1 << 20)
    for name in NAMES:
        path = write(tmp_path, name)
        with path.open("ab") as file:
            file.truncate((1 << 20) + 1)
        with pytest.raises(InputError, match="larger than 1 MiB"):
            read_cloud(path, field="real")


@pytest.mark.parametrize("name", NAMES)
def test_torn_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    content = write(tmp_path, name).read_bytes()
    path = tmp_path / f"torn{Path(name).suffix}"

    @examples(15)
    @given(data=st.data())
    def look(data: st.DataObject) -> None:
        path.write_bytes(data.draw(torn(content)))
        right_or_one_line(lambda: read_cloud(path, field="real", classes=read_class_map("regolith=0,rock=1")))

    look()


def test_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "gone", Path(",")):
        with pytest.raises(InputError, match=r"synth: .* allowed: a split with depth, a folder of \.npz"):
            read_clouds(path, field="synth")
    with pytest.raises(InputError, match=r"real: .*gone\.npz.*No such file"):
        read_cloud(tmp_path / "gone.npz", field="real")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        read_cloud(tmp_path / "folder.npz", field="real")


def test_a_split_without_depth(tmp_path: Path) -> None:
    write_rocky(tmp_path / "val", 1, seed=1, extras=())
    with pytest.raises(InputError, match=r"dataset\.depth: False is not allowed; allowed: true"):
        read_clouds(tmp_path / "val", field="synth")


def test_without_laspy_a_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "a.las")
    monkeypatch.setitem(sys.modules, "laspy", None)
    with pytest.raises(InputError, match=r"laspy is not; .* -m pip install .*laspy"):
        read_cloud(path, field="real")


def test_every_ending_is_covered() -> None:
    assert {Path(name).suffix for name in NAMES} == set(READERS)
