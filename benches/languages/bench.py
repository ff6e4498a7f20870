"""What the library costs through Python. `benches/src/languages.rs` calls it and says what each figure is."""

import time

began = time.perf_counter()

import asyncio  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402

import comptoir as c  # noqa: E402


class Vault(c.KeyVault):
    def __init__(self, path):
        self.path = path

    def load(self):
        with open(self.path, "rb") as file:
            return file.read()

    def store(self, key):
        raise c.ShellError.Canceled()


def micros(times, work):
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times * 1e6


async def main(dir, key, chat, frame, width, height, times):
    core = c.Client.open(c.Config(dir=dir, vault=Vault(key)))
    core.chats(None, 20)
    load_ms = (time.perf_counter() - began) * 1e3
    core.disconnect()
    chat, width, height, times = c.ConversationId(chat), int(width), int(height), int(times)
    with open(frame, "rb") as file:
        plane = file.read()
    figures = {
        "load_ms": load_ms,
        "call_us": micros(times * 100, core.status),
        "page_us": micros(times * 10, lambda: core.page(chat, c.Place.NEWEST(), 50)),
        "frame_us": micros(times, lambda: c.scan_frame(plane, width, height, width)),
    }
    texts = ["x" * 100] * 100
    began_batches = time.perf_counter()
    for _ in range(times):
        await core.send_texts(chat, texts)
    figures["batch_per_s"] = times * 100 / (time.perf_counter() - began_batches)
    core.shutdown()
    print(json.dumps(figures))


asyncio.run(main(*sys.argv[1:]))
