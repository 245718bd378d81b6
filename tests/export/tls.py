"""Certificates for the tests: an authority made anew in each run, and one certificate for 127.0.0.1."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import trustme

FOLDER = Path(tempfile.mkdtemp(prefix="firsttoken-tls-"))
AUTHORITY, CERTIFICATE, KEY = FOLDER / "ca.pem", FOLDER / "cert.pem", FOLDER / "key.pem"

atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

_authority = trustme.CA()
_issued = _authority.issue_cert("127.0.0.1", "localhost")
_authority.cert_pem.write_to_path(str(AUTHORITY))
_issued.private_key_pem.write_to_path(str(KEY))
for _pem in _issued.cert_chain_pems:
    _pem.write_to_path(str(CERTIFICATE), append=True)
