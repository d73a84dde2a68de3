"""In: {"blobs": folder, "names": [sha256], "stale_s": age}. Out: {"present": [sha256], "free_bytes": n}.

Makes the folder, hashes what is there, removes parts that no upload is writing to any more.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    request = json.load(sys.stdin)
    blobs = Path(request["blobs"])
    blobs.mkdir(parents=True, exist_ok=True)
    for part in blobs.glob("*.part-*"):
        try:
            # The age may be negative: a board without a clock can have gone back to 1970 since.
            if abs(time.time() - part.stat().st_mtime) > request["stale_s"]:
                part.unlink()
        except OSError:
            continue  # another process removed it first
    present = [name for name in request["names"] if sha256_of(blobs / name) == name]
    disk = os.statvfs(str(blobs))
    json.dump({"present": present, "free_bytes": disk.f_bavail * disk.f_frsize}, sys.stdout)


def sha256_of(path: Path) -> str:
    """Empty for what cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as reader:
            for piece in iter(lambda: reader.read(1 << 20), b""):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()


if __name__ == "__main__":
    main()
