"""A real browser without a window, driven through its DevTools protocol."""

import base64
import functools
import http.server
import json
import shutil
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


def find():
    """Return the path of a Chromium, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def serving(folder):
    """Serve a folder on a free port; gives its address and the list of paths asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, text, *values):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@contextmanager
def opened(executable, profile, address, width=1200, height=1400):
    """Open an address in a fresh browser; ``profile`` is an empty folder of its own."""
    process = subprocess.Popen(
        [executable, *SWITCHES, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        page = Page(_socket(profile / "DevToolsActivePort", process))
        page.call("Page.enable")
        page.call("DOM.enable")
        page.resize(width, height)
        page.open(address)
        yield page
        page.call("Browser.close")
        process.wait(20)
    finally:
        process.kill()
        process.wait()


class Page:
    """One tab."""

    def __init__(self, socket):
        self.socket, self.sent, self.events = socket, 0, []

    def open(self, address):
        """Go to an address and wait until all that it names is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=address)
        while "Page.loadEventFired" not in self.events:
            self._receive()

    def call(self, method, **parameters):
        """Send a command and return its result."""
        self.sent += 1
        self.socket.send(json.dumps({"id": self.sent, "method": method, "params": parameters}))
        while True:
            answer = self._receive()
            if answer.get("id") == self.sent:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self):
        answer = json.loads(self.socket.recv())
        self.events.append(answer.get("method"))
        return answer

    def evaluate(self, expression):
        """Return the value of a JavaScript expression, of a promise when it is kept."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression, seconds=60):
        """Evaluate again and again until the value is true; return it."""
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            status = self.evaluate("document.getElementById('status')?.textContent")
            assert time.monotonic() < end, f"{expression} stays {value!r}; the page says {status!r}"
            time.sleep(0.05)
        return value

    def press(self, key, code):
        """Press a key and let it go; ``code`` is its Windows key code."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)

    def choose_file(self, selector, file):
        """Put a file into an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(file)], nodeId=node)

    def resize(self, width, height, dark=False):
        """Set the size of the window in px and the scheme of colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])


def _socket(port_file, process, seconds=60):
    end = time.monotonic() + seconds
    while not (port_file.exists() and port_file.read_text().strip()):
        assert process.poll() is None, "the browser ended before it began"
        assert time.monotonic() < end, "the browser did not open its port"
        time.sleep(0.05)
    port = port_file.read_text().split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
        tabs = json.load(answer)
    address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    return websocket.create_connection(address, timeout=120, suppress_origin=True)


def content_of(address):
    """Return the bytes of a data: address."""
    return base64.b64decode(address.partition(",")[2])
