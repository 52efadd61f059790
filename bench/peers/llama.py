"""llama.cpp in a process of its own: for each line of ids and a count, one line of tokens and their times.

Run with its folder, the GGUF file and how many threads.
"""

from __future__ import annotations

import json
import sys
import time

peers, file, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.path.append(peers)

from llama_cpp import Llama  # noqa: E402

model = Llama(file, n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
for line in sys.stdin:
    ids, count = json.loads(line)
    model.reset()
    tokens = model.generate(ids, temp=0.0, repeat_penalty=1.0)
    said = [(next(tokens), time.perf_counter()) for _ in range(count)]
    print(json.dumps(said), flush=True)
