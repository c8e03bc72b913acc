"""A headless Chromium, spoken to over two pipes (DevTools protocol): what a page loads, says and looks like."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)  # fmt: skip
LONGEST = 60.0


def found():
    """The program, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page; `events` holds what it reported."""

    def __init__(self, folder):
        sent, self._out = _pipe()
        self._in, answers = _pipe()
        command = [found(), *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
        script = f'exec "$@" 3<&{sent} 4>&{answers}'  # where Chromium looks for them
        self.process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command], pass_fds=(sent, answers), stderr=subprocess.DEVNULL
        )
        os.close(sent)
        os.close(answers)
        self.events, self._buffer, self._number, self._session = [], b"", 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        try:
            self.process.terminate()
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._in)
        os.close(self._out)

    def call(self, method, **params):
        """The result of a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = self._until(lambda event: event.get("id") == self._number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _until(self, wanted):
        end = time.monotonic() + LONGEST
        while True:
            while b"\0" not in self._buffer:
                ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
                part = os.read(self._in, 1 << 20) if ready else b""
                assert part, "Chromium has ended, or does not answer"
                self._buffer += part
            line, _, self._buffer = self._buffer.partition(b"\0")
            event = json.loads(line)
            if "id" not in event:
                self.events.append(event)
            if wanted(event):
                return event

    def open(self, url, width, dark=False, media=""):
        """Load a page at this width in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media=media, features=scheme)
        self.call("Page.navigate", url=url)
        self._until(lambda event: event.get("method") == "Page.loadEventFired")
        self.run("Promise.all([...document.images].map(image => image.decode()))")

    def run(self, script):
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screenshot(self, path):
        """The whole page as a PNG."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def complaints(self):
        """What failed to load, and what stands on the console."""
        loud = ("Network.loadingFailed", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event["params"] for event in self.events if event.get("method") in loud]

    def requests(self):
        """The addresses that were asked for."""
        asked = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in asked]


def _pipe():
    """Both ends, with numbers that bash does not take for its own."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in ends]
    for end in ends:
        os.close(end)
    return moved
