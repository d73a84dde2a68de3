"""Memory of a known size, seen through the agent's own marks: AGENT_ZIP SIZE_BYTES."""

import json
import mmap
import sys

sys.path.insert(0, sys.argv[1])
from edgebench.agent.sensors import memory

size = int(sys.argv[2])


def touched(size: int) -> mmap.mmap:
    """Anonymous private memory, every page of it written."""
    area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for offset in range(0, size, mmap.PAGESIZE):
        area[offset] = 1
    return area


touched(2 * size).close()  # a higher peak from before, which the reset must forget
resettable = memory.reset_peak()
before = memory.memory_mark()
area = touched(size)
during = memory.memory_mark()
area.close()
after = memory.memory_mark()  # the ballast is gone: the peak must remember it
print(json.dumps({"resettable": resettable, "before": before, "during": during, "after": after}))
