"""What an image holds: these files, these owners and modes, the same bytes each time."""

import hashlib
import os
import pathlib
import platform
import re
import shutil
import ssl
import subprocess
import tarfile

import pytest

from image import IMAGES, made, script
from programs import BINARIES

LOADERS = {"x86_64": "lib64/ld-linux-x86-64.so.2", "aarch64": "lib/ld-linux-aarch64.so.1"}
LIBRARIES = f"lib/{platform.machine()}-linux-gnu"
EVERYWHERE = {
    "etc/group": 0o644, "etc/nsswitch.conf": 0o644, "etc/passwd": 0o644, "etc/ssl/certs/ca-certificates.crt": 0o644,
    LOADERS[platform.machine()]: 0o755,
    **{f"{LIBRARIES}/{name}": 0o755 for name in ("libc.so.6", "libgcc_s.so.1", "libm.so.6")},
}
FILES = {
    "sidecar": EVERYWHERE | {"usr/bin/fusebox-sidecar": 0o755,
                             f"{LIBRARIES}/libdl.so.2": 0o755, f"{LIBRARIES}/libpthread.so.0": 0o755},
    "control-plane": EVERYWHERE | {"usr/bin/fusebox-control-plane": 0o755, "usr/bin/fusebox": 0o755},
}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", IMAGES)
def test_these_files_and_no_other(images, name):
    with tarfile.open(images[name].tar) as packed:
        members = packed.getmembers()
    files = {member.name.removeprefix("./"): member.mode for member in members if member.isfile()}
    assert files == FILES[name]
    folders = [member for member in members if not member.isfile()]
    assert all(member.isdir() and member.mode == 0o755 for member in folders), "only folders, which nobody else writes to"
    assert {(member.uid, member.gid, member.mtime) for member in members} == {(0, 0, 0)}
    needed = {str(parent) for file in files for parent in os.path.normpath(file).split("/")[:-1]}
    assert {os.path.basename(member.name) for member in folders} - {"."} == needed, "no folder is empty"


@pytest.mark.parametrize("name", IMAGES)
def test_the_folder_and_its_tar_hold_the_same(images, name):
    image = images[name]
    with tarfile.open(image.tar) as packed:
        for member in packed.getmembers():
            on_disk = image.root / member.name
            assert on_disk.stat().st_mode & 0o7777 == member.mode and on_disk.stat().st_mtime == 0, member.name
            assert not member.isfile() or packed.extractfile(member).read() == on_disk.read_bytes(), member.name


@pytest.mark.parametrize("name", IMAGES)
def test_programs_are_stripped(images, name):
    for program in (images[name].root / "usr/bin").iterdir():
        sections = subprocess.run(["readelf", "--sections", "--wide", program], text=True, capture_output=True, check=True)
        assert ".text" in sections.stdout and not re.search(r"\.symtab|\.debug_(info|line)", sections.stdout), program


def test_the_user_has_a_name_and_no_shell(images):
    for image in images.values():
        assert (image.root / "etc/passwd").read_text() == "fusebox:x:65532:65532:Fusebox:/:/none\n"
        assert (image.root / "etc/group").read_text() == "fusebox:x:65532:\n"
        assert image.settings["User"] == "65532:65532"


def test_the_certificates_are_those_of_public_authorities_and_none_that_this_machine_has_besides(images):
    public = sorted(pathlib.Path("/usr/share/ca-certificates/mozilla").glob("*.crt"))
    for image in images.values():
        bundle = image.root / "etc/ssl/certs/ca-certificates.crt"
        assert bundle.read_text() == "".join(one.read_text() for one in public)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(bundle)
        assert context.cert_store_stats()["x509_ca"] == len(public) > 100


def test_the_same_programs_give_the_same_bytes_at_another_time_and_place(images, tmp_path):
    binaries = tmp_path / "elsewhere"
    binaries.mkdir()
    for program in ("fusebox-sidecar", "fusebox-control-plane", "fusebox"):
        # A copy, with other times and modes.
        shutil.copyfile(BINARIES / program, binaries / program)
        os.utime(binaries / program, (1, 1))
        (binaries / program).chmod(0o700)
    made("root", "--into", tmp_path / "again", "--binaries", binaries, umask=0o077)
    for name, image in images.items():
        assert digest(tmp_path / "again" / f"{name}.tar") == digest(image.tar)


def test_another_time_is_borne_by_every_file(tmp_path):
    made("root", "--into", tmp_path / "roots", "--binaries", BINARIES, "sidecar",
         env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"})
    with tarfile.open(tmp_path / "roots/sidecar.tar") as packed:
        assert {member.mtime for member in packed.getmembers()} == {1700000000}
    assert not (tmp_path / "roots/control-plane").exists(), "one image was asked for"


def test_what_is_there_is_not_written_over(images, tmp_path):
    folder = tmp_path / "roots"
    (folder / "sidecar").mkdir(parents=True)
    (folder / "sidecar/mine").touch()
    done = script("root", "--into", folder, "--binaries", BINARIES)
    assert done.returncode == 1 and "remove it, or name another folder" in done.stderr
    assert (folder / "sidecar/mine").exists() and not (folder / "control-plane").exists()


def test_what_is_asked_for_wrongly_is_named(tmp_path):
    assert "usage:" in script("root").stderr
    assert "usage:" in script("root", "--into", tmp_path / "roots", "gateway").stderr
    done = script("root", "--into", tmp_path / "roots", "--binaries", tmp_path)
    assert done.returncode == 1 and f"there is no {tmp_path}/fusebox-sidecar" in done.stderr
