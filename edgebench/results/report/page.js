"use strict";
// The plots of a run: cost against accuracy, latency by input length.
(function () {
  const { data, byId, style, dark, colour, config, layout, range, bars, drawLegend } = edgebenchPlots;

  function scatter(points, artifact, invalid) {
    const symbol = { front: "circle", dominated: "circle-open", invalid: "x-thin" };
    return {
      type: "scatter", mode: "markers", x: points.map((p) => p.x), y: points.map((p) => p.y),
      error_x: { ...bars(points, "x", "x_lo", "x_hi"), color: colour(artifact) },
      error_y: { ...bars(points, "y", "y_lo", "y_hi"), color: colour(artifact) },
      marker: {
        size: 11, color: invalid ? style("--invalid") : colour(artifact),
        symbol: points.map((p) => symbol[p.state]),
        line: { width: 2, color: invalid ? style("--invalid") : colour(artifact) },
      },
      opacity: invalid ? 0.75 : 1,
      text: points.map((p) => p.hover), hovertemplate: "%{text}<extra></extra>",
    };
  }

  function drawPlane(target, cost, points, accuracy, reference) {
    const box = layout(
      `${cost.title} against ${accuracy}`,
      reference ? `${cost.title} / that of ${reference}` : cost.axis,
      reference ? `${accuracy} − that of ${reference}` : accuracy,
    );
    const traces = [];
    const best = points.filter((p) => p.state === "front").sort((a, b) => a.x - b.x || a.y - b.y);
    traces.push({
      type: "scatter", mode: "lines", x: best.map((p) => p.x), y: best.map((p) => p.y), hoverinfo: "skip",
      line: { shape: "hv", width: 1.5, dash: "dot", color: style("--soft") },
    });
    for (const number of new Set(points.map((p) => p.artifact))) {
      for (const invalid of [false, true]) {
        const some = points.filter((p) => p.artifact === number && (p.state === "invalid") === invalid);
        if (some.length) traces.push(scatter(some, number, invalid));
      }
    }
    if (points.length) {
      range(box.xaxis, points.flatMap((p) => [p.x, p.x_lo ?? p.x, p.x_hi ?? p.x]));
      range(box.yaxis, points.flatMap((p) => [p.y, p.y_lo ?? p.y, p.y_hi ?? p.y]));
      box.yaxis.type = "linear";
    } else {
      box.annotations = [{ text: "no artifact has both figures", showarrow: false, font: { size: 13 } }];
      box.xaxis.visible = box.yaxis.visible = false;
    }
    Plotly.react(target, traces, box, config);
  }

  // Axis titles go through plotly's pseudo-HTML: what a run calls its artifacts is text there.
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function drawPlanes() {
    if (!data.planes) return;
    const choice = ["corpus", "accuracy", "length", "reference"].map((id) => byId(`choose-${id}`).value);
    const view = data.planes[choice.join("|")];
    const accuracy = data.accuracies.find((a) => a.name === choice[1]).title;
    byId("corpus-note").textContent = data.corpus_notes[choice[0]];
    for (const cost of data.costs) drawPlane(byId(`plane-${cost.name}`), cost, view[cost.name], accuracy, escaped(choice[3]));
  }

  function drawLatency() {
    const target = byId("latency-plot");
    if (!target) return;
    const box = layout("Latency p50 by input length", "Input (s)", "Latency p50 (ms)");
    const traces = data.latency.flatMap((line) => [
      {
        type: "scatter", mode: "lines", x: line.points.map((p) => p.x), y: line.points.map((p) => p.y),
        line: { width: 1.5, color: colour(line.artifact), dash: line.dash }, hoverinfo: "skip",
      },
      ...[false, true].map((invalid) => scatter(line.points.filter((p) => (p.state === "invalid") === invalid), line.artifact, invalid)),
    ]);
    const points = data.latency.flatMap((line) => line.points);
    range(box.yaxis, points.flatMap((p) => [p.y, p.y_lo ?? p.y, p.y_hi ?? p.y]));
    if (box.yaxis.type !== "log") box.yaxis.range[0] = 0;
    box.xaxis.tickvals = [...new Set(points.map((p) => p.x))];
    Plotly.react(target, traces, box, config);
  }

  // The board in time: temperature on the left axis, clocks on the right, red where a code holds.
  function drawState() {
    const line = data.timeline;
    if (!line) return;
    const box = layout("The board over the run", "Time (s)", "Temperature (C)");
    box.yaxis2 = { ...box.yaxis, title: { ...box.yaxis.title, text: "Clock (MHz)" }, overlaying: "y", side: "right", showgrid: false, rangemode: "tozero", tickmode: "auto" };
    box.showlegend = true;
    box.legend = { orientation: "h", x: 1, xanchor: "right", y: 1.12 };
    const trace = (values, name, number, more) => ({
      type: "scatter", mode: "lines", x: values.x, y: values.y, name, line: { width: 1.5, color: colour(number) },
      marker: { size: 7, color: colour(number), symbol: "diamond" }, hovertemplate: "%{x:.0f} s: %{y:.1f}<extra></extra>", ...more,
    });
    const traces = [
      trace(line.temperature_c, "temperature", 1, {}),
      trace(line.clock_mhz, "clock shown", 0, { yaxis: "y2" }),
      trace(line.firmware_mhz, "clock of the firmware", 2, { yaxis: "y2", mode: "markers" }),
    ].filter((one) => one.x.length);
    box.shapes = line.spans.map((span) => ({
      type: "rect", xref: "x", yref: "paper", x0: span.from_s, x1: span.to_s, y0: 0, y1: 1, layer: "below",
      fillcolor: style("--invalid"), opacity: 0.08, line: { width: 0 },
    }));
    // One row of crosses a code, above the lines, to hover over.
    const codes = [...new Set(line.spans.map((span) => span.code))];
    codes.forEach((code, row) => {
      const held = line.spans.filter((span) => span.code === code);
      traces.push({
        type: "scatter", mode: "lines+markers", yaxis: "y3", showlegend: false,
        x: held.flatMap((span) => [span.from_s, span.to_s, null]), y: held.flatMap(() => [row, row, null]),
        text: held.flatMap((span) => [0, 1, 2].map(() => `${code}: ${escaped(span.text)}`)),
        hovertemplate: "%{text}<extra></extra>",
        line: { width: 3, color: style("--invalid") }, marker: { size: 8, color: style("--invalid"), symbol: "x-thin", line: { width: 2, color: style("--invalid") } },
      });
    });
    if (codes.length) {
      box.yaxis.domain = [0, 0.72];
      box.yaxis3 = { domain: [0.78, 1], tickvals: codes.map((_, row) => row), ticktext: codes, range: [-0.6, codes.length - 0.4], zeroline: false, gridcolor: style("--line"), automargin: true, tickfont: { size: 11 } };
    }
    Plotly.react(byId("state-plot"), traces, box, config);
  }

  // Sustained launches: one panel a quantity over one axis of time, one colour an artifact.
  function drawCourses() {
    const courses = data.courses;
    if (!courses) return;
    const panels = [
      ["latency_ms", "Latency (ms)"], ["clock_mhz", "Clock (MHz)"], ["temperature_c", "Temperature (C)"], ["power_w", "Power (W)"],
    ].filter(([key]) => courses.some((one) => one[key].x.length));
    const box = layout("", "Time since the first request (s)", "");
    box.margin.t = 20;
    box.shapes = [];
    const traces = [];
    const height = 1 / panels.length;
    panels.forEach(([key, title], row) => {
      const number = row ? row + 1 : "";
      const top = 1 - row * height;
      const values = courses.flatMap((one) => one[key].y);
      const axis = { ...box.yaxis, title: { ...box.yaxis.title, text: title }, domain: [top - 0.86 * height, top], anchor: "x" };
      const room = 0.1 * (Math.max(...values) - Math.min(...values)) || 0.05 * Math.abs(values[0]) || 1;
      axis.range = [Math.min(...values) - room, Math.max(...values) + room];
      axis.nticks = 5;
      box[`yaxis${number}`] = axis;
      for (const one of courses) {
        traces.push({
          type: "scatter", mode: "lines", x: one[key].x, y: one[key].y, yaxis: `y${number}`, line: { width: 1.5, color: colour(one.artifact) },
          hovertemplate: `${escaped(one.name)}<br>%{x:.0f} s: %{y:.4g}<extra></extra>`,
        });
      }
    });
    box.xaxis.anchor = panels.length > 1 ? `y${panels.length}` : "y";
    for (const one of courses) {
      if (one.settle_s === null) continue;
      box.shapes.push({
        type: "line", xref: "x", yref: "paper", x0: one.settle_s, x1: one.settle_s, y0: 0, y1: 1,
        line: { width: 1.2, dash: "dash", color: colour(one.artifact) },
      });
    }
    Plotly.react(byId("course-plot"), traces, box, config);
  }

  function draw() {
    drawLegend(data.artifacts.map((name, number) => ({ name, number })));
    drawPlanes(); drawLatency(); drawCourses(); drawState();
  }

  for (const choice of document.querySelectorAll(".controls select")) choice.addEventListener("change", drawPlanes);
  dark.addEventListener("change", draw);
  draw();
})();
