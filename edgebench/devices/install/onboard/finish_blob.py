"""In: {"part": path, "target": path, "sha256": expected or null}. Out: {"sha256": found or null}.

Renames a part whose hash is right to its final name and removes any other; with null, only removes.
"""

import hashlib
import json
import os
import sys
from pathlib import Path


def main() -> None:
    request = json.load(sys.stdin)
    part, found = Path(request["part"]), None
    try:
        if request["sha256"] is not None:
            digest = hashlib.sha256()
            with part.open("rb") as reader:
                for piece in iter(lambda: reader.read(1 << 20), b""):
                    digest.update(piece)
                # A power cut after the rename must not leave an empty file under a good name.
                os.fsync(reader.fileno())
            found = digest.hexdigest()
            if found == request["sha256"]:
                part.chmod(0o644)
                part.replace(request["target"])
    finally:
        if part.exists():
            part.unlink()
    json.dump({"sha256": found}, sys.stdout)


if __name__ == "__main__":
    main()
