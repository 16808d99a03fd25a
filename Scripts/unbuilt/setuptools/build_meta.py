"""Stands in for setuptools when pip asks a source archive for its metadata: answers from PKG-INFO and runs nothing of the archive.

pip downloads no source archive without asking for its metadata, which would run the archive's setup.py, with a setuptools that it fetches
first. Set-up wants a file of that archive and no metadata, so it puts this before any setuptools (PYTHONPATH, --no-build-isolation).
"""

import email.parser
import os
import pathlib


class __legacy__:  # What pip calls for archives without a pyproject.toml.
    @staticmethod
    def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: object = None) -> str:
        written = pathlib.Path("PKG-INFO").read_bytes()
        said = email.parser.BytesHeaderParser().parsebytes(written)
        folder = f"{said['Name'].replace('-', '_')}-{said['Version']}.dist-info"
        os.mkdir(os.path.join(metadata_directory, folder))
        pathlib.Path(metadata_directory, folder, "METADATA").write_bytes(written)
        return folder

    @staticmethod
    def build_wheel(*_: object) -> str:
        raise RuntimeError("This only answers for metadata.")
