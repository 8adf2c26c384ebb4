"""MPyC's secure sum of given vectors: every party is a process of its own, as `-M` starts them.

Run by MPyC's own Python, with MPyC's own options `-M` (parties) and `-T` (threshold) on the command line. Arrays and a
prime field just wide enough are MPyC's quickest way to add; party 0 leaves the sum and prints the seconds.
"""

import json
import sys
import time

import numpy as np
from mpyc.runtime import mpc

FIELD_AT_LEAST = 1 << 20
"""More than any sum here: a thousand parties' counts below a thousand."""


async def main():
    path, total = sys.argv[1:3]
    field = mpc.SecFld(min_order=FIELD_AT_LEAST)
    await mpc.start()
    mine = np.load(path, mmap_mode="r")[mpc.pid].astype(object)
    begun, busy = time.perf_counter(), time.process_time()
    inputs = mpc.input(field.array(field.field.array(mine)))
    summed = inputs[0]
    for other in inputs[1:]:
        summed = summed + other
    found = await mpc.output(summed)
    seconds, busy = time.perf_counter() - begun, time.process_time() - busy
    spent = await mpc.transfer(busy)
    if mpc.pid == 0:
        np.save(total, np.array([int(value) for value in found.value], dtype=np.int64))
    await mpc.shutdown()
    if mpc.pid == 0:
        print(json.dumps({"seconds": seconds, "processor_seconds": sum(spent), "answered": True}))


mpc.run(main())
