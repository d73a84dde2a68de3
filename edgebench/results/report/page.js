"use strict";
// Draws the plots from the data in #plot-data. Every string from a run goes through textContent or
// comes already escaped for plotly's pseudo-HTML; nothing is fetched.
(function () {
  const data = JSON.parse(document.getElementById("plot-data").textContent);
  const byId = (id) => document.getElementById(id);
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  // Okabe and Ito's palette, which colour-blind readers can tell apart.
  const light = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#a07000", "#666666"];
  const bright = ["#56b4e9", "#ff8c42", "#2ecc9b", "#e8a1c8", "#9ad0f5", "#f0c040", "#bbbbbb"];
  const colour = (number) => (dark.matches ? bright : light)[number % light.length];
  // No mode bar: dragging zooms, a double click goes back, and nothing offers to send data anywhere.
  const config = { responsive: true, displaylogo: false, displayModeBar: false };

  function layout(title, xTitle, yTitle) {
    const axis = {
      gridcolor: style("--line"), linecolor: style("--line"), zeroline: false, automargin: true,
      tickfont: { size: 11 }, title: { font: { size: 12 }, standoff: 8 },
    };
    return {
      title: { text: title, font: { size: 14 }, x: 0.02, xanchor: "left", y: 0.96 },
      font: { family: style("font-family") || "system-ui, sans-serif", color: style("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      margin: { l: 58, r: 24, t: 44, b: 50 }, hovermode: "closest",
      hoverlabel: { align: "left", bgcolor: style("--panel"), bordercolor: style("--line"), font: { color: style("--ink") } },
      xaxis: { ...axis, title: { ...axis.title, text: xTitle } },
      yaxis: { ...axis, title: { ...axis.title, text: yTitle } },
    };
  }

  // Values over more than a decade go on a logarithmic axis, with ticks at 1, 2, 5 (or at the decades).
  function range(axis, values) {
    const low = Math.min(...values), high = Math.max(...values);
    if (low > 0 && high / low > 12) {
      const room = 0.06 * Math.log10(high / low);
      const ticks = [];
      for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.log10(high) + 1; power += 1) {
        for (const digit of high / low > 1000 ? [1] : [1, 2, 5]) ticks.push(Number((digit * 10 ** power).toPrecision(2)));
      }
      Object.assign(axis, {
        type: "log", range: [Math.log10(low) - room, Math.log10(high) + room],
        tickvals: ticks, ticktext: ticks.map((tick) => tick.toLocaleString("en")),
      });
    } else {
      const room = 0.08 * (high - low) || 0.05 * Math.abs(high) || 1;
      axis.range = [low - room, high + room];
    }
  }

  const bars = (points, value, lo, hi) => ({
    type: "data", symmetric: false, thickness: 1.2, width: 4,
    array: points.map((p) => (p[hi] === null ? 0 : p[hi] - p[value])),
    arrayminus: points.map((p) => (p[lo] === null ? 0 : p[value] - p[lo])),
  });

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

  function drawPlane(target, cost, points, accuracy) {
    const box = layout(`${cost.title} against ${accuracy}`, cost.axis, accuracy);
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

  function drawPlanes() {
    if (!data.planes) return;
    const choice = ["corpus", "accuracy", "length"].map((id) => byId(`choose-${id}`).value);
    const view = data.planes[choice.join("|")];
    const accuracy = data.accuracies.find((a) => a.name === choice[1]).title;
    byId("corpus-note").textContent = data.corpus_notes[choice[0]];
    for (const cost of data.costs) drawPlane(byId(`plane-${cost.name}`), cost, view[cost.name], accuracy);
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

  function drawLegend() {
    for (const place of document.querySelectorAll(".legend.artifacts")) {
      place.replaceChildren(...data.artifacts.map((name, number) => {
        const entry = document.createElement("span"), dot = document.createElement("i");
        entry.className = "name";
        dot.style.background = colour(number);
        entry.append(dot, document.createTextNode(name));
        return entry;
      }));
    }
  }

  function draw() { drawLegend(); drawPlanes(); drawLatency(); }

  for (const choice of document.querySelectorAll(".controls select")) choice.addEventListener("change", drawPlanes);
  dark.addEventListener("change", draw);
  draw();
})();
