"""The page in a real browser: plots drawn, nothing on the console, nothing fetched."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import re
import shutil
import subprocess
import threading

import pytest
from support import launches_in_time as in_time
from support import results_builder as b

from edgebench.errors import UsageError
from edgebench.results import summarise
from edgebench.results.report import run_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)"),
]

WICKED = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"
MODELS = ((b.FP32, 4e6, 0.5), (b.INT8, 3e6, 0.6), ("mobilenet.fp32", 9e6, 0.9), (WICKED, 20e6, 0.3))


def spoil(line):
    line["trial"]["samples_cpu_ns"] = [sample - 1000 for sample in line["trial"]["samples_ns"]]
    if line["condition"]["artifact"] == b.INT8 and line["condition"]["input_s"] == 5.0:
        line["trial"]["telemetry"] = b.telemetry(busy=0.4)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    artifacts = []
    for number, (key, speed, _) in enumerate(MODELS):
        made = b.artifact(key, sha256=str(number + 1) * 64, size_bytes=int(speed / 10))
        made["manifest"] = {"tasks": b.TASKS, "parity": {"max_abs": 9.0}}
        artifacts.append(made)
    known = dict(b.SHA)
    b.SHA.update({made["key"]: made["sha256"] for made in artifacts})
    corpora = (b.corpus("synthetic", rows=b.clips(speakers=3)), b.corpus())
    lines = b.run_lines(models=MODELS, artifacts=artifacts, corpora=corpora, change=spoil)
    b.SHA.clear()
    b.SHA.update(known)
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(run_page(summarise(b.records(lines))))
    return path


def browse(url, folder, *options):
    """Chromium with a profile of its own, which reaches nothing but this machine."""
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder / 'profile'}",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-extensions",
        "--disable-features=NetworkTimeServiceQuerying",
        "--disable-sync",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--enable-logging=stderr",
        "--window-size=1280,1600",
        "--virtual-time-budget=10000",
        *options,
        url,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@contextlib.contextmanager
def served(folder):
    """(address, paths asked for) of a web server over ``folder``."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def asked_by_the_page(log, address):
    """URLs in Chromium's network log that the page itself asked for (not the browser, not the user)."""
    events = json.loads(log.read_text())["events"]
    params = [event.get("params", {}) for event in events]
    return {p["url"] for p in params if p.get("initiator") == address and "url" in p}


@pytest.fixture(scope="module")
def seen(page, tmp_path_factory):
    """The DOM after the script ran, the console's lines, what the server was asked for, and by the page."""
    folder = tmp_path_factory.mktemp("browser")
    log = folder / "net.json"
    with served(page.parent) as (address, asked):
        done = browse(f"{address}/page.html", folder, "--dump-dom", f"--log-net-log={log}")
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, console, asked, asked_by_the_page(log, address)


def plots(dom):
    """Plot id -> the SVG markers in it."""
    parts = re.split(r'<div class="[^"]*\bplot\b[^"]*" id="([^"]+)"', dom)
    return {
        name: re.findall(r'<path class="point[^>]*>', body)
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_every_plot_is_drawn_with_its_points(seen):
    found = plots(seen[0])
    assert set(found) == {
        "plane-size_bytes",
        "plane-latency_p50_ns",
        "plane-cpu_p50_ns",
        "plane-peak_rss_bytes",
        "plane-macs",
        "latency-plot",
        "state-plot",
    }
    for name in set(found) - {"latency-plot", "state-plot"}:
        assert len(found[name]) == len(MODELS), name
    assert len(found["latency-plot"]) == len(MODELS) * 2


def test_the_boards_state_and_a_sustained_launch_are_drawn(tmp_path):
    """Two launches of three held down by the kernel: temperature, clock, and a row of the code.

    A launch of 100 s in four panels: latency, clock, temperature, power, with a line where it settles.
    """
    told = b.telemetry(cooling={"cpufreq-cpu0": 2})
    lines = [b.header(), b.reference()]
    for number in range(3):
        telemetry = told if number else b.telemetry()
        lines.append(b.trial_line(b.condition(), b.trial(number, telemetry=telemetry), launch=number))
    lasting = in_time.sustained_trial(
        seconds=100.0,
        latency_ms=lambda t: 30 if t < 20 else 20,
        clock_hz=lambda t: 1.5e9,
        celsius=lambda t: 50 + t / 10,
        watts=lambda t: 4 + t / 50,
    )
    lines.append(b.trial_line(b.condition(scenario="sustained"), lasting))
    page = tmp_path / "state.html"
    page.write_text(run_page(summarise(b.records(lines))))
    before, drawn = browse(page.as_uri(), tmp_path, "--dump-dom").stdout.split('id="state-plot"')
    course = before.split('id="course-plot"')[1]
    assert len(re.findall(r'class="trace scatter', course)) == 4
    titles = ("Latency (ms)", "Clock (MHz)", "Temperature (C)", "Power (W)")
    assert all(title in course for title in titles)
    assert len(re.findall(r'<path[^>]*data-index="0"', course)) == 1  # the dashed line, at 20 s
    drawn = drawn.split("<section>")[0]
    assert len(re.findall(r'class="trace scatter', drawn)) == 3
    assert ">THROTTLED</text>" in drawn


def test_the_front_is_drawn_and_the_points_have_bars(seen):
    first = seen[0].split('id="plane-latency_p50_ns"')[1].split('id="plane-cpu_p50_ns"')[0]
    assert 'class="js-line"' in first
    assert len(re.findall(r'class="yerror"', first)) == len(MODELS)
    assert len(re.findall(r'class="xerror"', first)) == len(MODELS)


def test_recorded_speech_is_chosen_first(seen):
    options = re.findall(r"<option[^>]*>([^<]+)</option>", seen[0])
    assert options[:2] == ["emodb (recorded speech)", "synthetic (pipeline check)"]
    assert re.search(r'id="corpus-note">Recorded speech', seen[0])


def test_the_console_is_silent(seen):
    assert seen[1] == []


def test_a_wicked_name_ran_nothing(seen):
    assert "<title>edgebench: rpi4" in seen[0]
    assert "<img" not in seen[0]


def test_nothing_is_fetched(seen):
    assert seen[2] == ["/page.html"]
    assert seen[3] == set()


@pytest.mark.parametrize("policy", [True, False], ids=["with its policy", "without it"])
def test_the_policy_is_what_forbids_a_request(page, tmp_path, policy):
    """The page with a picture from elsewhere: refused, and fetched once the policy is taken out."""
    text = page.read_text().replace("<main>", '<main><img src="/other.png">')
    if not policy:
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    (tmp_path / "other.html").write_text(text)
    log = tmp_path / "net.json"
    with served(tmp_path) as (address, asked):
        done = browse(f"{address}/other.html", tmp_path, "--dump-dom", f"--log-net-log={log}")
    refused = any("Content Security Policy" in line for line in done.stderr.splitlines() if "CONSOLE" in line)
    assert refused == policy
    assert ("/other.png" in asked) == (not policy)
    assert asked_by_the_page(log, address) == (set() if policy else {f"{address}/other.png"})


def chosen(page, folder, **wanted):
    """The DOM once these values were chosen from the lists."""
    script = f"""<script>
        for (const [id, value] of Object.entries({json.dumps(wanted)})) {{
            const list = document.getElementById("choose-" + id);
            list.value = value;
            list.dispatchEvent(new Event("change"));
        }}
    </script></body>"""
    other = folder / "other.html"
    text = page.read_text()
    cut = text.rindex("</body>")
    other.write_text(text[:cut] + script + text[cut + len("</body>") :])
    return browse(other.as_uri(), folder, "--dump-dom").stdout


def test_planes_can_be_drawn_relative_to_an_artifact(page, tmp_path):
    dom = chosen(page, tmp_path, reference=b.FP32)
    found = plots(dom)
    assert all(len(found[name]) == len(MODELS) for name in found if name.startswith("plane-"))
    assert f"Latency p50 / that of {b.FP32}" in dom
    assert f"UA \u2212 that of {b.FP32}" in dom


@pytest.mark.parametrize("choice", ["synthetic|ccc_arousal|1"])
def test_choosing_redraws(page, tmp_path, choice):
    """What a user does with the lists, done by a script before the page is read."""
    corpus, accuracy, length = choice.split("|")
    dom = chosen(page, tmp_path, corpus=corpus, accuracy=accuracy, length=length)
    assert "check of the pipeline, not speech-emotion accuracy" in dom.split('id="corpus-note">')[1][:200]
    assert "Latency p50 against CCC arousal" in dom
    assert len(plots(dom)["plane-latency_p50_ns"]) == len(MODELS)


def test_a_screenshot_is_not_blank(page, tmp_path):
    target = tmp_path / "shot.png"
    browse(page.as_uri(), tmp_path, f"--screenshot={target}")
    assert target.stat().st_size > 60_000


def test_the_data_in_the_page_has_the_fronts(page):
    data = json.loads(page.read_text().split('id="plot-data">')[1].split("</script>")[0])
    points = data["planes"]["emodb|ua|5|"]["latency_p50_ns"]
    states = {data["artifacts"][point["artifact"]]: point["state"] for point in points}
    assert states == {b.FP32: "front", b.INT8: "invalid", "mobilenet.fp32": "dominated", WICKED: "front"}
    relative = data["planes"][f"emodb|ua|5|{b.FP32}"]["latency_p50_ns"]
    found = {data["artifacts"][point["artifact"]]: point for point in relative}
    assert (found[b.FP32]["x"], found[b.FP32]["y"]) == (1.0, 0.0)
    # A busy host spoils the latency of int8 and leaves its ratio, which the pairs vouch for.
    assert found[b.INT8]["x"] == pytest.approx(3 / 4, rel=0.02) and found[b.INT8]["state"] == "front"


def test_the_page_opens_relative_where_it_is_asked_to_or_nothing_else_can_be_believed():
    def opened(change=None, **options):
        text = run_page(summarise(b.records(b.run_lines(change=change))), **options)
        menu = text.split('id="choose-reference"')[1].split("</select>")[0]
        return re.findall(r'<option value="([^"]*)" selected', menu)

    def busy(line):
        line["trial"]["telemetry"] = b.telemetry(busy=0.4)

    assert opened() == [""]
    assert opened(busy) == [b.FP32]
    assert opened(relative_to=b.INT8) == [b.INT8]
    with pytest.raises(UsageError, match="no artifact 'int9'"):
        run_page(summarise(b.records(b.run_lines())), relative_to="int9")
